import { FacetError } from "../errors.js";
import { escapeHtml } from "./escapeHtml.js";
import { type HeldOutScore, heldOutTable } from "./heldOut.js";
import { lossCurve } from "./lossCurve.js";
import type { LossPoint } from "./lossPoints.js";
import { reportStyle } from "./reportStyle.js";

export interface ReportData {
  title: string;
  /** The base model's name. */
  model: string;
  /** When the run ended, in ISO 8601. */
  created: string;
  /** What the run was: base model, rank, rows, duration, … in the order to show them. */
  facts: { label: string; value: string }[];
  /** Training losses, nats per token. */
  curve: LossPoint[];
  /** Losses on validation data; may be empty. */
  validation: LossPoint[];
  /** Scores on held-out data, when there was any. */
  heldOut?: { before: HeldOutScore; after: HeldOutScore };
  /** What the model wrote before and after training. */
  samples: { prompt: string; before: string; after: string }[];
  /** The command to try next. */
  command?: string;
}

/**
 * One HTML document that needs nothing else: no script, no file, no network (its content security
 * policy allows none). Every text of `data` is escaped (`escapeHtml`). A section without data is
 * left out, except the curve, which says that there is none.
 * @throws FacetError when `created` is not a date, and as `lossCurve` and `heldOutTable` do.
 */
export function renderReport(data: ReportData): string {
  const sections = [
    data.heldOut && section("Held-out data", heldOutTable(data.heldOut.before, data.heldOut.after)),
    section("Training loss", curveFigure(data)),
    data.samples.length > 0 && section("Before and after", samplesTable(data.samples)),
    data.facts.length > 0 && section("The run", factList(data.facts)),
    data.command !== undefined &&
      section("Try next", `<pre><code>${escapeHtml(data.command)}</code></pre>`),
  ];
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(data.title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<header>
<h1 dir="auto">${escapeHtml(data.title)}</h1>
<p>${escapeHtml(data.model)} · ${time(data.created)}</p>
</header>
<main>
${sections.filter(Boolean).join("\n")}
</main>
</body>
</html>
`;
}

function section(heading: string, content: string): string {
  return `<section>\n<h2>${heading}</h2>\n${content}\n</section>`;
}

/** The curve twice, for wide and for narrow pages: its labels must not shrink with the page. */
function curveFigure({ curve, validation }: ReportData): string {
  if (curve.length + validation.length === 0) return "<p>No loss was reported.</p>";
  const wide = lossCurve(curve, { validation, width: 800, height: 320 });
  const narrow = lossCurve(curve, { validation, width: 326, height: 260 });
  const caption =
    "Faint marks are losses as they were reported; where there are too many to tell apart, a mark " +
    "reaches from the lowest to the highest. The line is their mean around each step: " +
    "the weight of a loss halves with every fortieth of the run between it and that step.";
  return [
    `<figure><div class="wide">${wide}</div><div class="narrow">${narrow}</div>`,
    curve.length > 0 ? `<figcaption>${caption}</figcaption>` : "",
    "</figure>",
  ].join("\n");
}

function samplesTable(samples: ReportData["samples"]): string {
  const bodies = samples.map(({ prompt, before, after }) =>
    [
      `<tbody>`,
      `<tr><th scope="rowgroup" colspan="2"><span class="label">Prompt</span>${block(prompt)}</th></tr>`,
      `<tr><td data-label="Before">${block(before)}</td><td data-label="After">${block(after)}</td></tr>`,
      `</tbody>`,
    ].join("\n"),
  );
  return [
    `<table class="samples">`,
    `<thead><tr><th scope="col">Before training</th><th scope="col">After training</th></tr></thead>`,
    ...bodies,
    "</table>",
  ].join("\n");
}

/** White space as it is; the text itself decides its direction, and cannot change its neighbours'. */
function block(text: string): string {
  return text === ""
    ? `<div class="text empty">(nothing)</div>`
    : `<div class="text" dir="auto">${escapeHtml(text)}</div>`;
}

function factList(facts: ReportData["facts"]): string {
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
