import { FacetError, unknownName } from "../errors.js";
import { type EncodedText, encodeSegments, type Segment } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { spellsMarker, withoutFrame } from "./encode.js";
import type { Examples } from "./exampleStore.js";
import { withRejected } from "./preferences.js";
import {
  countKept,
  type DropReason,
  emptyTally,
  type PrepareReport,
  prepareReport,
  type Tally,
} from "./prepareReport.js";
import { placeOf, type Row } from "./rows.js";
import { type RowTemplate, type Targets, targetChoices } from "./rowTemplate.js";

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

export interface PrepareOptions {
  readonly tokenizer: Tokenizer;
  /** Length L of the model's input; a row's ids are at most L + 1. */
  readonly sequenceLength: number;
  /** Default "all", as in the Keras tutorial. */
  readonly targets?: Targets;
  /** Default "truncate", as in Keras. */
  readonly overlong?: Overlong;
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
  const ids = new Int32Array(right - left + 2);
  const isTarget = new Uint8Array(ids.length);
  ids[0] = tokenizer.bosId;
  for (let i = left; i < right; i++) {
    ids[i - left + 1] = encoded.ids[i]!;
    isTarget[i - left + 1] = encoded.isTarget[i]!;
  }
  ids[ids.length - 1] = tokenizer.eosId;
  isTarget[ids.length - 1] = 1;
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
  return { examples: kept, report: prepareReport(preparer.tally, kept) };
}

export interface ExamplePreparer {
  /** Makes an example of a row, or counts why not. */
  add(row: Row, template: RowTemplate): void;
  /** What became of the rows so far. */
  readonly tally: Tally;
}

/**
 * As `prepareExamples`, for rows that come one by one; `examples` gets what they become, and `tally` counts. With
 * `rejected` rows are preferences: that gets the rejected answers, and a row is left out when either cannot be used.
 */
export function examplePreparer(
  examples: { push(example: Example): unknown },
  options: PrepareOptions,
  tally = emptyTally(),
  rejected?: { push(example: Example): unknown },
): ExamplePreparer {
  const { tokenizer, sequenceLength } = options;
  const targets = options.targets ?? "all";
  const overlong = options.overlong ?? "truncate";
  checkOptions(sequenceLength, targets, overlong);

  return {
    tally,
    add(row, template) {
      tally.rows += 1;
      const outcome = prepareRow(row, template);
      const other = rejected && prepareOther(row, template, outcome);
      if (typeof outcome === "string" || typeof other === "string") {
        const reason = typeof outcome === "string" ? outcome : (other as DropReason);
        const places = tally.dropped[reason] ?? [];
        places.push(placeOf(row));
        tally.dropped[reason] = places;
        return;
      }
      countKept(tally, row.file, 1);
      examples.push(outcome);
      if (other !== undefined) rejected?.push(other);
      const both = other === undefined ? [outcome] : [outcome, other];
      if (both.some((one) => one.truncated > 0)) tally.truncated += 1;
      for (const one of both) {
        tally.inputTokens += one.ids.length - 1;
        tally.targetTokens += targetCount(one);
      }
      const used = (field: string) =>
        template.fields.includes(field) || (rejected !== undefined && field === "rejected");
      for (const [field, value] of Object.entries(row.fields)) {
        if (!used(field) && value.trim() !== "") {
          tally.unusedFields[field] = (tally.unusedFields[field] ?? 0) + 1;
        }
      }
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
    if (spellsMarker(segments)) tally.spelledMarkers.push(placeOf(row));
    return example;
  }
}

/** How many ids of the example are to be predicted. */
export function targetCount(example: Example): number {
  let count = 0;
  for (const flag of example.isTarget) count += flag;
  return count;
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
