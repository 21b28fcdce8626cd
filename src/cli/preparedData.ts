import type { PrepareReport } from "../data/examples.js";
import { count, plural } from "./output.js";

/** The first few line numbers of a list. */
function firstLines(lines: readonly number[]): string {
  const shown = lines.slice(0, 3).join(", ");
  return `${lines.length === 1 ? "line" : "lines"} ${shown}${lines.length > 3 ? ", …" : ""}`;
}

/** What became of the rows, one statement per line. */
export function preparedNotice(report: PrepareReport): string[] {
  const { rows, kept, dropped, truncated, targetTokens, spelledMarkers, unusedFields } = report;
  const lines = [
    `${plural(kept, "row")} of ${count(rows)} kept, ${plural(targetTokens, "target token")}`,
  ];
  for (const [reason, at] of Object.entries(dropped)) {
    lines.push(`${plural(at.length, "row")} dropped: ${reason} (${firstLines(at)})`);
  }
  if (truncated > 0) {
    lines.push(`${plural(truncated, "row")} truncated to the sequence length`);
  }
  for (const [field, times] of Object.entries(unusedFields)) {
    lines.push(`the template does not use "${field}", which ${plural(times, "row")} fill`);
  }
  if (spelledMarkers.length > 0) {
    const where = firstLines(spelledMarkers);
    lines.push(`turn markers spelled in the text were taken as plain text (${where})`);
  }
  return lines;
}
