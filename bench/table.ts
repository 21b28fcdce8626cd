import { readFileSync } from "node:fs";
import { FacetError } from "../src/errors.js";
import { writeFileAtomic } from "../src/formats/atomicFile.js";
import type { Conditions } from "./machine.js";
import type { AnyRow, Row } from "./row.js";
import { round } from "./row.js";

const columns = ["row", "unit", "median", "min", "max", "runs", "ratio", "more"];

/** The results as Markdown: the conditions, then one line per row. */
export function toMarkdown(conditions: Conditions, rows: readonly AnyRow[]): string {
  const { cpu, cores, memoryGiB, threads, versions, date } = conditions;
  const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${threads} threads; ${parts.join(", ")}; ${date}`,
    "",
    `| ${columns.join(" | ")} |`,
    `|${columns.map(() => " --- |").join("")}`,
    ...rows.map((row) => `| ${cells(row).join(" | ")} |`),
  ].join("\n");
}

function cells(row: AnyRow): string[] {
  if ("skipped" in row) return [row.name, "", "", "", "", "0", "", `skipped: ${row.skipped}`];
  const { name, unit, median, min, max, runs, ratio } = row;
  const times = [median, min, max].map(formatted);
  return [name, unit, ...times, `${runs}`, formattedRatio(ratio), more(row)];
}

const formatted = (value: number): string =>
  Number.isInteger(value) ? value.toLocaleString("en-US") : `${round(value)}`;

const formattedRatio = ({ value, of }: Row["ratio"]): string =>
  `${(100 * value).toPrecision(3)} % of ${of}`;

function more({ facts, correct }: Row): string {
  const list = Object.entries(facts).map(([name, value]) => {
    return `${name} ${typeof value === "number" ? formatted(value) : value}`;
  });
  if (correct !== undefined) list.push(correct ? "correct" : "**WRONG**");
  return list.join("; ");
}

const begin = "<!-- bench:begin -->";
const end = "<!-- bench:end -->";

/** Puts the results between the two marks of a Markdown file. Throws a FacetError without them. */
export function fillMarkdown(path: string, markdown: string): void {
  const text = readFileSync(path, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) {
    throw new FacetError(`${path} has no place for the results: put ${begin} and ${end} there.`);
  }
  const head = text.slice(0, from + begin.length);
  writeFileAtomic(path, `${head}\n\n${markdown}\n\n${text.slice(to)}`);
}
