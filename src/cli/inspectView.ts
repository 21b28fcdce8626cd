import { basename } from "node:path";
import type { ShownToken } from "../data/inspect.js";
import type { LengthBucket } from "../data/lengths.js";
import type { DataReport, ShownExample } from "../recipes/inspectData.js";
import { facts, wrap } from "./layout.js";
import { colours, count, outputWidth, percent, plural, print, printable } from "./output.js";
import { firstPlaces, preparedNotice, sharesText } from "./preparedData.js";

/** The report as the document that `--json` prints. */
export function inspectionJson(report: DataReport, rows: readonly ShownExample[]) {
  const { histogram, targetShare, paddingShare, report: prepared } = report.inspection;
  const { min, mean, median, p95, max, total: tokens } = prepared.lengths;
  return {
    data: report.data,
    template: report.template,
    rows: report.rows,
    filtered_out: report.filteredOut,
    held_out: report.heldOut,
    kept: prepared.kept,
    dropped: prepared.dropped,
    truncated: prepared.truncated,
    target_tokens: prepared.targetTokens,
    target_share: targetShare,
    padding_share: paddingShare,
    ...(report.shares && { mix: report.shares }),
    packed: { rows: report.packed.rows, padding_share: report.packed.paddingShare },
    lengths: { min, mean, median, p95, max, total: tokens },
    histogram,
    warnings: report.warnings.map(({ kind, message, places }) => ({ kind, message, places })),
    duplicates: report.duplicates,
    row: rows[0],
    ...(rows[1] && { rejected: rows[1] }),
  };
}

/** What stands under the rows' fates. */
const ALREADY_SAID = new Set(["dropped", "unused field", "spelled marker"]);

/** Prints the report for a person to read. */
export function printInspection(report: DataReport, rows: readonly ShownExample[]): void {
  const { histogram, targetShare, paddingShare, report: prepared } = report.inspection;
  const { min, mean, median, p95, max } = prepared.lengths;
  const { packed } = report;
  const width = outputWidth();
  const heading = (text: string) => print(`\n${wrap(text, width).map(colours.bold).join("\n")}`);
  const held = report.heldOut === 0 ? "" : `, ${count(report.heldOut)} held out`;
  print(
    facts(
      [
        ["Data", report.data],
        ["Template", JSON.stringify(report.template)],
        [
          "Rows",
          `${count(report.rows)} in the file, ${count(report.filteredOut)} filtered out${held}`,
        ],
        [
          "Lengths",
          `${min} to ${max} tokens, mean ${mean.toFixed(1)}, median ${median}, 95 % up to ${p95}`,
        ],
        ...(report.shares ? [["Mix", `${sharesText(report.shares)} in an epoch`] as const] : []),
        ["Targets", `${percent(targetShare)} of the tokens`],
        ["Padding", `${percent(paddingShare)} if every row were padded to the sequence length`],
        ["Packed", `${plural(packed.rows, "row")} with ${percent(packed.paddingShare)} padding`],
      ],
      width,
    ),
  );
  heading("What became of the rows");
  for (const line of preparedNotice(prepared)) print(wrap(line, width).join("\n"));
  heading("Worth a look");
  const warnings = report.warnings.filter(({ kind }) => !ALREADY_SAID.has(kind));
  if (warnings.length === 0) print("Nothing was found.");
  for (const { message, places } of warnings) {
    const where = places.length === 0 ? "" : ` (${firstPlaces(places, prepared.files)})`;
    const rows = places.length === 0 ? "" : `${plural(places.length, "row")}: `;
    print(wrap(`${rows}${printable(message)}${where}`, width).join("\n"));
  }
  heading("Rows by length in tokens");
  print(bars(histogram, width));
  for (const { file, line, answer, truncated, tokens } of rows) {
    const cut = truncated > 0 ? `, ${truncated} tokens cut off` : "";
    const where = prepared.files.length > 1 ? ` of ${basename(file)}` : "";
    const which = answer === undefined ? "" : `, ${answer} answer`;
    heading(
      `The row at line ${line}${where}${which}: ${tokens.length} tokens${cut}, targets in [brackets]`,
    );
    print(tokenText(tokens, width));
  }
}

/** A bar per bucket, the longest as wide as fits. */
function bars(histogram: readonly LengthBucket[], width: number): string {
  const labels = histogram.map(({ from, to }) => `${from}–${to}`);
  const label = Math.max(...labels.map((text) => text.length));
  const most = Math.max(...histogram.map((bucket) => bucket.count));
  const room = Math.max(4, Math.min(50, width - label - 3 - count(most).length));
  return histogram
    .map((bucket, i) => {
      const length = bucket.count === 0 ? 0 : Math.max(1, Math.round((room * bucket.count) / most));
      return `${labels[i]!.padStart(label)} ${"█".repeat(length)} ${count(bucket.count)}`;
    })
    .join("\n");
}

function tokenText(tokens: readonly ShownToken[], width: number): string {
  const words = tokens.map(({ piece, target }) => {
    const safe = printable(piece.replaceAll("\n", "\\n").replaceAll("\t", "\\t"));
    return target ? `[${safe}]` : safe;
  });
  const paint = (line: string) => line.replace(/\[\S+\]/g, (piece) => colours.green(piece));
  return wrap(words.join(" "), width).map(paint).join("\n");
}
