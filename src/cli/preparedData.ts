import { basename } from "node:path";
import type { PrepareReport } from "../data/prepareReport.js";
import type { Place } from "../data/rows.js";
import type { Share } from "../recipes/dataMix.js";
import { count, plural } from "./output.js";

/** Where the first few of some rows are; `files` are those that were read. */
export function firstPlaces(places: readonly Place[], files: PrepareReport["files"]): string {
  const more = places.length > 3 ? ", …" : "";
  const first = places.slice(0, 3);
  if (new Set([...files, ...places].map(({ file }) => file)).size > 1) {
    return `${first.map(({ file, line, unit }) => `${basename(file)} ${unit ?? "line"} ${line}`).join(", ")}${more}`;
  }
  const lines = first.map(({ line }) => line).join(", ");
  return `${first[0]?.unit ?? "line"}${places.length === 1 ? "" : "s"} ${lines}${more}`;
}

/** "90 rows of a.jsonl, 30 of b.jsonl". */
export const sharesText = (shares: readonly Share[]): string =>
  shares
    .map(
      ({ data, examples }, i) =>
        `${i === 0 ? plural(examples, "row") : count(examples)} of ${basename(data)}`,
    )
    .join(", ");

/** What became of the rows, one statement per line. */
export function preparedNotice(report: PrepareReport): string[] {
  const { rows, kept, dropped, truncated, targetTokens, spelledMarkers, unusedFields } = report;
  const lines = [
    `${plural(kept, "row")} of ${count(rows)} kept, ${plural(targetTokens, "target token")}`,
  ];
  for (const [reason, at] of Object.entries(dropped)) {
    lines.push(`${plural(at.length, "row")} dropped: ${reason} (${firstPlaces(at, report.files)})`);
  }
  if (truncated > 0) {
    lines.push(`${plural(truncated, "row")} truncated to the sequence length`);
  }
  for (const [field, times] of Object.entries(unusedFields)) {
    lines.push(`the template does not use "${field}", which ${plural(times, "row")} fill`);
  }
  if (spelledMarkers.length > 0) {
    const where = firstPlaces(spelledMarkers, report.files);
    lines.push(`turn markers spelled in the text were taken as plain text (${where})`);
  }
  return lines;
}
