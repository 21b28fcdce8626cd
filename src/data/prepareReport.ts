import { FacetError } from "../errors.js";
import { type Examples, fullLengths } from "./exampleStore.js";
import { type LengthStatistics, lengthStatistics } from "./lengths.js";
import type { Place } from "./rows.js";
import type { Unrendered } from "./rowTemplate.js";

export type DropReason = Unrendered | "too long" | "no target";

export interface PrepareReport {
  readonly rows: number;
  readonly kept: number;
  /** Kept rows of each file, in the order of the examples. */
  readonly files: readonly { readonly file: string; readonly kept: number }[];
  /** Where the rows left out are, by reason; only reasons that occurred. */
  readonly dropped: Readonly<Partial<Record<DropReason, readonly Place[]>>>;
  readonly truncated: number;
  /** Of the kept rows, before truncation; of a pair the longer one. */
  readonly lengths: LengthStatistics;
  /** What the model reads in one pass over the kept rows: all tokens but each row's last. */
  readonly inputTokens: number;
  /** Tokens that count in the loss, in one pass over the kept rows. */
  readonly targetTokens: number;
  /** Rows whose text spells a turn marker such as <start_of_turn>; it was encoded as plain text. */
  readonly spelledMarkers: readonly Place[];
  /** Text fields that the template does not use, with the number of kept rows in which they are not empty. */
  readonly unusedFields: Readonly<Record<string, number>>;
}

/** What is counted while rows are prepared: the parts of a report that add up. */
export interface Tally {
  rows: number;
  readonly files: { readonly file: string; kept: number }[];
  readonly dropped: Partial<Record<DropReason, Place[]>>;
  truncated: number;
  inputTokens: number;
  targetTokens: number;
  readonly spelledMarkers: Place[];
  readonly unusedFields: Record<string, number>;
}

export const emptyTally = (): Tally => ({
  ...{ rows: 0, files: [], dropped: {}, truncated: 0, inputTokens: 0, targetTokens: 0 },
  ...{ spelledMarkers: [], unusedFields: {} },
});

/** Counts rows of a file that follow the others. */
export function countKept({ files }: Tally, file: string, kept: number): void {
  if (files.at(-1)?.file !== file) files.push({ file, kept: 0 });
  files.at(-1)!.kept += kept;
}

/** Adds the counts of rows that follow. */
export function addTally(sum: Tally, more: Tally): void {
  for (const name of ["rows", "truncated", "inputTokens", "targetTokens"] as const) {
    sum[name] += more[name];
  }
  for (const { file, kept } of more.files) countKept(sum, file, kept);
  for (const [reason, places] of Object.entries(more.dropped) as [DropReason, Place[]][]) {
    const all = sum.dropped[reason] ?? [];
    for (const place of places) all.push(place);
    sum.dropped[reason] = all;
  }
  for (const place of more.spelledMarkers) sum.spelledMarkers.push(place);
  for (const [field, count] of Object.entries(more.unusedFields)) {
    sum.unusedFields[field] = (sum.unusedFields[field] ?? 0) + count;
  }
}

/** The report of rows that became these examples, and these rejected ones. Throws a FacetError when no row is left. */
export function prepareReport(
  tally: Tally,
  examples: Examples,
  rejected?: Examples,
): PrepareReport {
  if (examples.length === 0) throw nothingLeft(tally);
  const { rows, files, dropped, truncated, ...counts } = tally;
  const others = rejected && fullLengths(rejected);
  const lengths = lengthStatistics(
    fullLengths(examples).map((length, i) => Math.max(length, others?.[i] ?? 0)),
  );
  return { rows, kept: examples.length, files, dropped, truncated, lengths, ...counts };
}

/** The file of the example at an index. */
export function fileOf({ files }: PrepareReport, index: number): string {
  let end = 0;
  for (const { file, kept } of files) {
    end += kept;
    if (index < end) return file;
  }
  throw new RangeError(`there is no example ${index}`);
}

/** With less than this share of targets almost all of a step is computed for nothing, mostly by mistake. */
export const FEWEST_TARGETS = 0.01;

/** Throws a FacetError for rows of whose tokens less than 1 % are targets. */
export function requireTargets({ targetTokens, inputTokens }: PrepareReport): void {
  if (targetTokens >= FEWEST_TARGETS * inputTokens) return;
  throw new FacetError(
    `Only ${targetTokens} of ${inputTokens} tokens are targets, less than 1 %. Look at the rows with facet inspect: ` +
      "the answers may be in another field (--columns, --template), or --targets all may be meant.",
  );
}

function nothingLeft({ rows, dropped }: Tally): FacetError {
  if (rows === 0) return new FacetError("There are no rows to train on.");
  const reasons = Object.entries(dropped).map(
    ([reason, places]) =>
      `${places.length} ${reason} (first at ${places[0]!.unit ?? "line"} ${places[0]!.line} of ${places[0]!.file})`,
  );
  return new FacetError(
    `No row is left to train on: all ${rows} were dropped: ${reasons.join(", ")}. ` +
      "Check the template's fields and the sequence length.",
  );
}
