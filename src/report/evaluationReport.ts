import { countPlot, type PlottedCounts } from "./countPlot.js";
import { escapeHtml } from "./escapeHtml.js";
import { intervalPlot, type PlottedInterval } from "./intervalPlot.js";
import { type Fact, factList, type PageHead, page, section, textBlock } from "./page.js";
import { pairPlot } from "./pairPlot.js";
import { figure } from "./svg.js";

/** A metric of each model, the base first. */
export interface ReportedMetric {
  readonly label: string;
  readonly meaning: string;
  readonly values: readonly PlottedInterval[];
  /** For each further model, the change from the base in words; none when there is one model. */
  readonly changes: readonly { readonly text: string; readonly verdict: string }[];
}

export interface EvaluationReportData extends PageHead {
  /** For each model that is compared with the base, whether anything got worse, in sentences. */
  readonly verdicts: readonly { readonly name: string; readonly sentences: readonly string[] }[];
  /** How intervals are called: "95 % interval". */
  readonly intervalName: string;
  readonly metrics: readonly ReportedMetric[];
  /** Lengths of answers in tokens; the first series is the rows' own. */
  readonly lengths?: {
    readonly buckets: readonly string[];
    readonly series: readonly PlottedCounts[];
  };
  /** Losses per token of each row, by the base and by another model. */
  readonly pairs: readonly {
    readonly name: string;
    readonly losses: readonly (readonly [before: number, after: number])[];
  }[];
  readonly answers: readonly {
    readonly prompt: string;
    readonly texts: readonly { readonly name: string; readonly text: string }[];
  }[];
  readonly facts: readonly Fact[];
}

/**
 * The report of an evaluation or comparison as a page (`page`). Every text of `data` is escaped. A section without data
 * is left out.
 */
export function renderEvaluationReport(data: EvaluationReportData): string {
  const { verdicts, metrics, lengths, pairs, answers, facts } = data;
  return page(data, [
    verdicts.length > 0 && section("Did anything get worse?", verdicts.map(verdictList).join("\n")),
    section("Metrics", metricTable(data)),
    section("Intervals", metrics.map((metric, i) => plotted(metric, `interval-${i}`)).join("\n")),
    pairs.length > 0 && section("Loss of each row", pairs.map(pairFigure).join("\n")),
    lengths !== undefined && section("Lengths of the answers", lengthFigure(lengths)),
    answers.length > 0 && section("Answers", answerTable(answers)),
    facts.length > 0 && section("How it was measured", factList(facts)),
  ]);
}

const verdictList = ({ name, sentences }: EvaluationReportData["verdicts"][number]): string =>
  [
    `<h3 dir="auto">${escapeHtml(name)}</h3>`,
    `<ul>${sentences.map((sentence) => `<li>${escapeHtml(sentence)}</li>`).join("")}</ul>`,
  ].join("\n");

function metricTable({ metrics, intervalName }: EvaluationReportData): string {
  const names = metrics[0]?.values.map(({ name }) => name) ?? [];
  const head = names.flatMap((name, i) => (i === 0 ? [name] : [name, "Change"]));
  const rows = metrics.map(({ label, meaning, values, changes }) => {
    const cells = values.flatMap(({ name, shown }, i) => {
      const value = `<td data-label="${escapeHtml(name)}">${escapeHtml(shown)}</td>`;
      if (i === 0) return [value];
      const { text, verdict } = changes[i - 1]!;
      const change = `${escapeHtml(text)}<small>${escapeHtml(verdict)}</small>`;
      return [value, `<td data-label="Change">${change}</td>`];
    });
    return `<tr><th scope="row">${escapeHtml(label)} <small>${escapeHtml(meaning)}</small></th>${cells.join("")}</tr>`;
  });
  const titles = ["Measure", ...head].map((title) => `<th scope="col">${escapeHtml(title)}</th>`);
  return [
    `<table class="scores"><thead><tr>${titles.join("")}</tr></thead>`,
    `<tbody>${rows.join("")}</tbody></table>`,
    names.length > 1
      ? `<p><small>Changes are from the first model, with their ${escapeHtml(intervalName)} by a paired bootstrap over rows.</small></p>`
      : "",
  ].join("\n");
}

const plotted = ({ label, values }: ReportedMetric, id: string): string =>
  `<h3>${escapeHtml(label)}</h3>\n${figure((width) => intervalPlot(label, values, { width, id }))}`;

const pairFigure = (
  { name, losses }: EvaluationReportData["pairs"][number],
  index: number,
): string =>
  figure(
    (width) =>
      pairPlot(`Loss of each row with ${name}`, losses, {
        ...{ width, id: `pairs-${index}` },
        ...{ x: "loss per token of the base", y: `with ${name}` },
      }),
    `Each point is a row. Below the line, ${name} is surer of it than the base; above, less sure.`,
  );

const lengthFigure = ({ buckets, series }: NonNullable<EvaluationReportData["lengths"]>): string =>
  figure(
    (width) => countPlot("Answers by length", buckets, series, { width, id: "lengths" }),
    "Answers by their length in tokens.",
  );

function answerTable(answers: EvaluationReportData["answers"]): string {
  const names = answers[0]!.texts.map(({ name }) => name);
  const bodies = answers.map(({ prompt, texts }) =>
    [
      "<tbody>",
      `<tr><th scope="rowgroup" colspan="${texts.length}"><span class="label">Prompt</span>${textBlock(prompt)}</th></tr>`,
      `<tr>${texts.map(({ name, text }) => `<td data-label="${escapeHtml(name)}">${textBlock(text)}</td>`).join("")}</tr>`,
      "</tbody>",
    ].join("\n"),
  );
  const head = names.map((name) => `<th scope="col">${escapeHtml(name)}</th>`);
  return `<table class="samples">\n<thead><tr>${head.join("")}</tr></thead>\n${bodies.join("\n")}\n</table>`;
}
