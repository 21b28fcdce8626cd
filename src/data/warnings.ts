import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Duplicate } from "./duplicates.js";
import type { Prepared } from "./examples.js";
import { FEWEST_TARGETS, fileOf } from "./prepareReport.js";
import type { Place } from "./rows.js";

/** Something about the rows that may be a mistake. */
export interface DataWarning {
  readonly kind: string;
  readonly message: string;
  /** The rows it is about, in order; empty for what is about all of them. */
  readonly places: readonly Place[];
}

/** Findings of a pass over the rows' text. */
export interface RowFindings {
  /** Equal and near pairs, the first of each row. */
  readonly duplicates: readonly Duplicate[];
  /** Rows by what their text should not have in it. */
  readonly flaws: ReadonlyMap<string, readonly Place[]>;
}

/** More rows than this share with one answer are worth a look. */
const SAME_ANSWER = 0.1;
/** Fewer rows than this say nothing about how often an answer occurs. */
const FEWEST_ROWS = 20;
/** More rows than this share cut are worth a look. */
const MANY_CUT = 0.05;

/** What is worth a look in prepared rows, the gravest first. */
export function dataWarnings(
  { examples, report }: Prepared,
  unkId: number,
  { duplicates, flaws }: RowFindings,
): DataWarning[] {
  const warnings: DataWarning[] = [];
  const warn = (kind: string, message: string, places: readonly Place[] = []) => {
    warnings.push({ kind, message, places });
  };
  const { kept, targetTokens, inputTokens } = report;
  if (targetTokens < FEWEST_TARGETS * inputTokens) {
    warn("few targets", "less than 1 % of the tokens are targets: finetune will refuse to start");
  }
  const leaks = duplicates.filter(({ leak }) => leak);
  const [equal, near] = split(leaks);
  if (equal.length > 0)
    warn("leak", `equal rows on both sides of the split: ${pairs(equal)}`, at(equal));
  if (near.length > 0) {
    warn("near leak", `nearly equal rows on both sides of the split: ${pairs(near)}`, at(near));
  }
  for (const [reason, places] of Object.entries(report.dropped)) {
    warn("dropped", `dropped: ${reason}`, places);
  }
  const { cut, unknown, commonest } = look(examples, (i) => fileOf(report, i), unkId);
  if (cut.length > MANY_CUT * kept) {
    warn("truncated", "longer than the sequence length, and cut", cut);
  }
  const [same, similar] = split(duplicates.filter(({ leak }) => !leak));
  if (same.length > 0) warn("duplicate", `equal to an earlier row: ${pairs(same)}`, at(same));
  if (similar.length > 0) {
    warn("near duplicate", `nearly equal to an earlier row: ${pairs(similar)}`, at(similar));
  }
  if (kept >= FEWEST_ROWS && commonest.length > SAME_ANSWER * kept) {
    warn("same answer", "all targets are the same as in the first of these rows", commonest);
  }
  for (const [flaw, places] of flaws) warn("text", `text with ${flaw}`, places);
  if (unknown.length > 0) warn("unknown", "characters that the tokenizer does not know", unknown);
  if (report.spelledMarkers.length > 0) {
    warn(
      "spelled marker",
      "turn markers spelled in the text, taken as plain text",
      report.spelledMarkers,
    );
  }
  for (const [field, times] of Object.entries(report.unusedFields)) {
    warn(
      "unused field",
      `the template does not use "${field}", which ${times} of ${kept} rows fill`,
    );
  }
  return warnings;
}

function look(examples: Prepared["examples"], fileAt: (index: number) => string, unkId: number) {
  const cut: Place[] = [];
  const unknown: Place[] = [];
  const answers = new Map<string, number[]>();
  let commonest: number[] = [];
  const places: Place[] = [];
  for (const { ids, isTarget, line, truncated } of examples) {
    const place = { file: fileAt(places.length), line };
    places.push(place);
    if (truncated > 0) cut.push(place);
    if (ids.includes(unkId)) unknown.push(place);
    const answer = ids.filter((_, i) => isTarget[i] === 1);
    const key = createHash("sha256").update(answer).digest("base64");
    const rows = answers.get(key) ?? [];
    rows.push(places.length - 1);
    answers.set(key, rows);
    if (rows.length > commonest.length) commonest = rows;
  }
  return { cut, unknown, commonest: commonest.map((i) => places[i]!) };
}

const split = (found: readonly Duplicate[]) =>
  [
    found.filter(({ similarity }) => similarity === 1),
    found.filter(({ similarity }) => similarity < 1),
  ] as const;

const at = (found: readonly Duplicate[]) => found.map(({ row }) => row);

/** The first pairs, as a person looks them up. */
function pairs(found: readonly Duplicate[]): string {
  const shown = found.slice(0, 3).map(({ row, of, similarity }) => {
    const unit = row.unit ?? "line";
    const other = `${of.file === row.file ? "" : `${basename(of.file)} `}${of.unit ?? "line"} ${of.line}`;
    const how = similarity >= 1 ? "" : ` (${Math.round(100 * similarity)} %)`;
    return `${unit} ${row.line} as ${other}${how}`;
  });
  return shown.join(", ") + (found.length > 3 ? ", …" : "");
}
