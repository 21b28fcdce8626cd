import { escapeHtml } from "./escapeHtml.js";
import { type HeldOutScore, heldOutTable } from "./heldOut.js";
import { lossCurve } from "./lossCurve.js";
import type { LossPoint } from "./lossPoints.js";
import { factList, page, section, textBlock } from "./page.js";

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
 * The report as a page (`page`). Every text of `data` is escaped (`escapeHtml`). A section without data is
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
  return page(data, sections);
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
      `<tr><th scope="rowgroup" colspan="2"><span class="label">Prompt</span>${textBlock(prompt)}</th></tr>`,
      `<tr><td data-label="Before">${textBlock(before)}</td><td data-label="After">${textBlock(after)}</td></tr>`,
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
