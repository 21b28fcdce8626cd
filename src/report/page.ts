import { FacetError } from "../errors.js";
import { escapeHtml } from "./escapeHtml.js";
import { reportStyle } from "./reportStyle.js";

export interface PageHead {
  readonly title: string;
  /** The model that the page is about. */
  readonly model: string;
  /** When, in ISO 8601. */
  readonly created: string;
}

/** Something worth knowing, in words. */
export interface Fact {
  readonly label: string;
  readonly value: string;
}

/**
 * One HTML document that needs nothing else: no script, no file, no network (its content security
 * policy allows none). What is no text among the sections is left out; `style` adds rules of its own.
 * @throws FacetError when `created` is not a date.
 */
export function page(
  head: PageHead,
  sections: readonly (string | false | undefined)[],
  style = "",
): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(head.title)}</title>
<style>${reportStyle}${style}</style>
</head>
<body>
<header>
<h1 dir="auto">${escapeHtml(head.title)}</h1>
<p>${escapeHtml(head.model)} · ${time(head.created)}</p>
</header>
<main>
${sections.filter(Boolean).join("\n")}
</main>
</body>
</html>
`;
}

/** `content` is markup. */
export function section(heading: string, content: string): string {
  return `<section>\n<h2>${escapeHtml(heading)}</h2>\n${content}\n</section>`;
}

/** A text with its white space as it is; the text itself decides its direction, and cannot change its neighbours'. */
export function textBlock(text: string): string {
  return text === ""
    ? `<div class="text empty">(nothing)</div>`
    : `<div class="text" dir="auto">${escapeHtml(text)}</div>`;
}

export function factList(facts: readonly Fact[]): string {
  const entries = facts.map(
    ({ label, value }) =>
      `<div><dt>${escapeHtml(label)}</dt><dd dir="auto">${escapeHtml(value)}</dd></div>`,
  );
  return `<dl>\n${entries.join("\n")}\n</dl>`;
}

/** In UTC and to the minute, so that the report does not depend on where it was made. */
function time(created: string): string {
  const date = new Date(created);
  if (Number.isNaN(date.getTime())) {
    throw new FacetError(
      `The report's date "${created}" cannot be read. Give it as "2026-01-31T12:00:00Z".`,
    );
  }
  const iso = date.toISOString();
  const shown = `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
  return `<time datetime="${iso}">${shown}</time>`;
}
