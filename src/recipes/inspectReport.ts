import { basename } from "node:path";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { renderDataReport } from "../report/dataReport.js";
import type { DataReport, ShownExample } from "./inspectData.js";

/** Where the first rows of a warning are. */
const PLACES = 12;

/** Writes what was found in data as one HTML page, with the rows at `indices` token by token. `model` is what reads it. */
export function writeDataReport(
  path: string,
  report: DataReport,
  { model, indices }: { readonly model: string; readonly indices: readonly number[] },
): void {
  const { inspection, packed } = report;
  const { lengths, kept, targetTokens, inputTokens } = inspection.report;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const facts = {
    Data: report.data,
    Template: report.template,
    Rows: `${count(report.rows)} in the files, ${count(report.filteredOut)} filtered out`,
    Training: `${count(kept)} rows, ${count(inputTokens)} tokens`,
    Validation:
      report.heldOut === 0 ? "no rows held out" : `${count(report.heldOut)} rows held out`,
    Targets: `${count(targetTokens)} tokens, ${percent(inspection.targetShare)}`,
    Lengths: `${lengths.min} to ${lengths.max} tokens, mean ${lengths.mean.toFixed(1)}, median ${lengths.median}, 95 % up to ${lengths.p95}`,
    "Sequence length": `${report.sequenceLength} tokens, ${count(inspection.report.truncated)} rows cut`,
    Padding: `${percent(inspection.paddingShare)} if every row were padded to the sequence length`,
    Packed: `${count(packed.rows)} rows, ${percent(packed.paddingShare)} padding`,
  };
  const html = renderDataReport({
    title: `Data: ${basename(report.data)}`,
    model: `As ${model} is given it`,
    created: new Date().toISOString(),
    facts: Object.entries(facts).map(([label, value]) => ({ label, value })),
    warnings: report.warnings.map(({ message, places }) => ({
      ...{ message, count: places.length },
      places: places
        .slice(0, PLACES)
        .map(({ file, line, unit }) => `${basename(file)} ${unit ?? "line"} ${line}`),
    })),
    histogram: inspection.histogram,
    examples: indices
      .flatMap((index) => report.shown(index))
      .map((example) => ({ heading: headingOf(example), tokens: example.tokens })),
  });
  writeFileAtomic(path, html);
}

function headingOf({ file, line, answer, truncated, tokens }: ShownExample): string {
  const which = answer === undefined ? "" : `, ${answer} answer`;
  const cut = truncated > 0 ? `, ${truncated} cut off` : "";
  return `${basename(file)} line ${line}${which}: ${tokens.length} tokens${cut}`;
}

const count = (value: number): string => value.toLocaleString("en");
