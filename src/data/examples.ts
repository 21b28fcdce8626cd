import { FacetError, unknownName } from "../errors.js";
import { type EncodedText, encodeSegments, type Segment } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { spellsMarker, withoutFrame } from "./encode.js";
import type { Examples } from "./exampleStore.js";
import { type LengthStatistics, lengthStatistics } from "./lengths.js";
import { withRejected } from "./preferences.js";
import { type Place, placeOf, type Row } from "./rows.js";
import { type RowTemplate, type Targets, targetChoices, type Unrendered } from "./rowTemplate.js";

/** One row as the model sees it. */
export interface Example {
  /** Start token, text, end token; at most sequence length + 1 ids. */
  readonly ids: Int32Array;
  /** Same length: 1 where the id is to be predicted. Never 1 for the start token. */
  readonly isTarget: Uint8Array;
  readonly line: number;
  /** How many ids of the text were cut off to fit; 0 for a whole row. */
  readonly truncated: number;
}

/**
 * What becomes of a row that does not fit: `truncate` cuts its end off, as Keras does; `cut-prompt-left` the beginning of
 * its prompt, and leaves it out when the completion alone does not fit; `drop` leaves it out. All are counted.
 */
export const overlongChoices = ["truncate", "cut-prompt-left", "drop"] as const;
export type Overlong = (typeof overlongChoices)[number];

export type DropReason = Unrendered | "too long" | "no target";

export interface PrepareOptions {
  readonly tokenizer: Tokenizer;
  /** Length L of the model's input; a row's ids are at most L + 1. */
  readonly sequenceLength: number;
  /** Default "all", as in the Keras tutorial. */
  readonly targets?: Targets;
  /** Default "truncate", as in Keras. */
  readonly overlong?: Overlong;
}

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

export interface Prepared {
  readonly examples: Examples;
  /** Of preferences the rejected answers, in the order of `examples`, which are the chosen ones. */
  readonly rejected?: Examples;
  readonly report: PrepareReport;
}

/**
 * The example of an encoded text, by KerasHub's rule: start token, the first L − 1 ids, end token
 * (`CausalLMPreprocessor` packs to L + 1, so that inputs and shifted targets are both L long).
 * The end token is always a target, also of a truncated row. Of what is too much, up to `cutLeft` ids are taken from the left.
 */
export function frameExample(
  encoded: EncodedText,
  tokenizer: Tokenizer,
  sequenceLength: number,
  line: number,
  cutLeft = 0,
): Example {
  const excess = Math.max(0, encoded.ids.length - (sequenceLength - 1));
  const left = Math.min(excess, cutLeft);
  const right = left + encoded.ids.length - excess;
  const ids = Int32Array.from([
    tokenizer.bosId,
    ...encoded.ids.slice(left, right),
    tokenizer.eosId,
  ]);
  const isTarget = Uint8Array.from([0, ...encoded.isTarget.slice(left, right), 1]);
  return { ids, isTarget, line, truncated: excess };
}

/**
 * The examples of rows, and a report of what was left out and why.
 * Throws a FacetError for a sequence length below 2, a template field that holds no text, and when no row is left.
 */
export function prepareExamples(
  rows: Iterable<Row>,
  { template, ...options }: PrepareOptions & { readonly template: RowTemplate },
): { examples: Example[]; report: PrepareReport } {
  const kept: Example[] = [];
  const preparer = examplePreparer(kept, options);
  for (const row of rows) preparer.add(row, template);
  return { examples: kept, report: preparer.report() };
}

export interface ExamplePreparer {
  /** Makes an example of a row, or counts why not. */
  add(row: Row, template: RowTemplate): void;
  /** Throws a FacetError when no row is left. */
  report(): PrepareReport;
}

/**
 * As `prepareExamples`, for rows that come one by one; `examples` gets what they become. With `rejected` rows are
 * preferences: that gets the rejected answers, and a row is left out when either cannot be used.
 */
export function examplePreparer(
  examples: { push(example: Example): unknown },
  options: PrepareOptions,
  rejected?: { push(example: Example): unknown },
): ExamplePreparer {
  const { tokenizer, sequenceLength } = options;
  const targets = options.targets ?? "all";
  const overlong = options.overlong ?? "truncate";
  checkOptions(sequenceLength, targets, overlong);

  const lengths: number[] = [];
  let [count, truncated, inputTokens, targetTokens] = [0, 0, 0, 0];
  const files: { file: string; kept: number }[] = [];
  const dropped: Partial<Record<DropReason, Place[]>> = {};
  const spelledMarkers: Place[] = [];
  const unusedFields: Record<string, number> = {};
  return {
    add(row, template) {
      count += 1;
      const outcome = prepareRow(row, template);
      const other = rejected && prepareOther(row, template, outcome);
      if (typeof outcome === "string" || typeof other === "string") {
        const reason = typeof outcome === "string" ? outcome : (other as DropReason);
        const places = dropped[reason] ?? [];
        places.push(placeOf(row));
        dropped[reason] = places;
        return;
      }
      if (files.at(-1)?.file !== row.file) files.push({ file: row.file, kept: 0 });
      files.at(-1)!.kept += 1;
      examples.push(outcome);
      if (other !== undefined) rejected?.push(other);
      const both = other === undefined ? [outcome] : [outcome, other];
      lengths.push(Math.max(...both.map(({ ids, truncated }) => ids.length + truncated)));
      if (both.some((one) => one.truncated > 0)) truncated += 1;
      for (const one of both) {
        inputTokens += one.ids.length - 1;
        targetTokens += targetCount(one);
      }
      for (const [field, value] of Object.entries(row.fields)) {
        if (value.trim() !== "" && !template.fields.includes(field)) {
          unusedFields[field] = (unusedFields[field] ?? 0) + 1;
        }
      }
    },
    report() {
      if (lengths.length === 0) throw nothingLeft(count, dropped);
      return {
        rows: count,
        kept: lengths.length,
        files,
        dropped,
        truncated,
        lengths: lengthStatistics(lengths),
        inputTokens,
        targetTokens,
        spelledMarkers,
        unusedFields,
      };
    },
  };

  function prepareOther(row: Row, template: RowTemplate, chosen: Example | DropReason) {
    const other = prepareRow(withRejected(row), template);
    if (typeof chosen === "string" || typeof other === "string") return other;
    return chosen.ids.join() === other.ids.join() ? "equal answers" : other;
  }

  function prepareRow(row: Row, template: RowTemplate): Example | DropReason {
    const segments = template.segments(row, targets);
    if (typeof segments === "string") return segments;
    const encoded = withoutFrame(encodeSegments(segments, tokenizer), tokenizer);
    const promptLength = () => {
      const completion = template.segments(row, targets === "all" ? "completion" : targets);
      const { isTarget } = withoutFrame(
        encodeSegments(completion as Segment[], tokenizer),
        tokenizer,
      );
      return isTarget.indexOf(1);
    };
    const excess = encoded.ids.length - (sequenceLength - 1);
    const cutLeft = excess > 0 && overlong === "cut-prompt-left" ? promptLength() : 0;
    if (excess > 0 && overlong !== "truncate" && excess > cutLeft) return "too long";
    const example = frameExample(encoded, tokenizer, sequenceLength, row.line, cutLeft);
    // The end token alone teaches nothing about the response.
    if (targetCount(example) < 2) return "no target";
    if (spellsMarker(segments)) spelledMarkers.push(placeOf(row));
    return example;
  }
}

/** Ids per example before truncation, start and end token included. */
export const fullLengths = (examples: Examples): number[] =>
  Array.from(examples, (example) => example.ids.length + example.truncated);

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

/** How many ids of the example are to be predicted. */
export function targetCount(example: Example): number {
  return example.isTarget.reduce((sum, flag) => sum + flag, 0);
}

function checkOptions(sequenceLength: number, targets: string, overlong: string): void {
  if (!Number.isInteger(sequenceLength) || sequenceLength < 2) {
    throw new FacetError(
      `The sequence length must be a whole number from 2; it is ${sequenceLength}.`,
    );
  }
  if (!(targetChoices as readonly string[]).includes(targets)) {
    throw unknownName("choice of targets", targets, targetChoices);
  }
  if (!(overlongChoices as readonly string[]).includes(overlong)) {
    throw unknownName("treatment of overlong rows", overlong, overlongChoices);
  }
}

function nothingLeft(rows: number, dropped: PrepareReport["dropped"]): FacetError {
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
