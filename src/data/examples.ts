import { FacetError, unknownName } from "../errors.js";
import { type EncodedText, encodeSegments } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { spellsMarker } from "./encode.js";
import type { Examples } from "./exampleStore.js";
import { type LengthStatistics, lengthStatistics } from "./lengths.js";
import { type Row, textField } from "./rows.js";
import { render, type Targets, type Template } from "./templates.js";

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

/** What becomes of a row that does not fit: cut, or left out. Both are counted. */
export type Overlong = "truncate" | "drop";

export type DropReason = "missing field" | "empty response" | "too long" | "no target";

export interface PrepareOptions {
  readonly template: Template;
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
  /** Line numbers of the rows left out, by reason; only reasons that occurred. */
  readonly dropped: Readonly<Partial<Record<DropReason, readonly number[]>>>;
  readonly truncated: number;
  /** Of the kept rows, before truncation. */
  readonly lengths: LengthStatistics;
  /** Tokens that count in the loss, in one pass over the kept rows. */
  readonly targetTokens: number;
  /** Lines whose text spells a turn marker such as <start_of_turn>; it was encoded as plain text. */
  readonly spelledMarkers: readonly number[];
  /** Text fields that the template does not use, with the number of kept rows in which they are not empty. */
  readonly unusedFields: Readonly<Record<string, number>>;
}

export interface Prepared {
  readonly examples: Examples;
  readonly report: PrepareReport;
}

/**
 * The example of an encoded text, by KerasHub's rule: start token, the first L − 1 ids, end token
 * (`CausalLMPreprocessor` packs to L + 1, so that inputs and shifted targets are both L long).
 * The end token is always a target, also of a truncated row.
 */
export function frameExample(
  encoded: EncodedText,
  tokenizer: Tokenizer,
  sequenceLength: number,
  line: number,
): Example {
  const room = Math.min(encoded.ids.length, sequenceLength - 1);
  const ids = Int32Array.from([tokenizer.bosId, ...encoded.ids.slice(0, room), tokenizer.eosId]);
  const isTarget = Uint8Array.from([0, ...encoded.isTarget.slice(0, room), 1]);
  return { ids, isTarget, line, truncated: encoded.ids.length - room };
}

/**
 * The examples of rows, and a report of what was left out and why.
 * Throws a FacetError for a sequence length below 2, a template field that holds no text, and when no row is left.
 */
export function prepareExamples(
  rows: Iterable<Row>,
  options: PrepareOptions,
): { examples: Example[]; report: PrepareReport } {
  const kept: Example[] = [];
  const preparer = examplePreparer(kept, options);
  for (const row of rows) preparer.add(row);
  return { examples: kept, report: preparer.report() };
}

export interface ExamplePreparer {
  /** Makes an example of a row, or counts why not. */
  add(row: Row): void;
  /** Throws a FacetError when no row is left. */
  report(): PrepareReport;
}

/** As `prepareExamples`, for rows that come one by one; `examples` gets what they become. */
export function examplePreparer(
  examples: { push(example: Example): unknown },
  options: PrepareOptions,
): ExamplePreparer {
  const { template, tokenizer, sequenceLength } = options;
  const targets = options.targets ?? "all";
  const overlong = options.overlong ?? "truncate";
  checkOptions(sequenceLength, targets, overlong);

  const lengths: number[] = [];
  let [count, truncated, targetTokens] = [0, 0, 0];
  const dropped: Partial<Record<DropReason, number[]>> = {};
  const spelledMarkers: number[] = [];
  const unusedFields: Record<string, number> = {};
  return {
    add(row) {
      count += 1;
      const outcome = prepareRow(row);
      if (typeof outcome === "string") {
        const lines = dropped[outcome] ?? [];
        lines.push(row.line);
        dropped[outcome] = lines;
        return;
      }
      examples.push(outcome);
      lengths.push(outcome.ids.length + outcome.truncated);
      if (outcome.truncated > 0) truncated += 1;
      targetTokens += targetCount(outcome);
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
        dropped,
        truncated,
        lengths: lengthStatistics(lengths),
        targetTokens,
        spelledMarkers,
        unusedFields,
      };
    },
  };

  function prepareRow(row: Row): Example | DropReason {
    if (template.fields.some((field) => textField(row, field) === undefined))
      return "missing field";
    if (textField(row, template.responseField)?.trim() === "") return "empty response";
    const segments = render(template, row.fields, targets);
    const example = frameExample(
      encodeSegments(segments, tokenizer),
      tokenizer,
      sequenceLength,
      row.line,
    );
    if (overlong === "drop" && example.truncated > 0) return "too long";
    // The end token alone teaches nothing about the response.
    if (targetCount(example) < 2) return "no target";
    if (spellsMarker(segments)) spelledMarkers.push(row.line);
    return example;
  }
}

/** Ids per example before truncation, start and end token included. */
export const fullLengths = (examples: Examples): number[] =>
  Array.from(examples, (example) => example.ids.length + example.truncated);

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
  if (targets !== "all" && targets !== "completion") {
    throw unknownName("choice of targets", targets, ["all", "completion"]);
  }
  if (overlong !== "truncate" && overlong !== "drop") {
    throw unknownName("treatment of overlong rows", overlong, ["truncate", "drop"]);
  }
}

function nothingLeft(rows: number, dropped: Partial<Record<DropReason, number[]>>): FacetError {
  if (rows === 0) return new FacetError("There are no rows to train on.");
  const reasons = Object.entries(dropped).map(
    ([reason, lines]) => `${lines.length} ${reason} (first at line ${lines[0]})`,
  );
  return new FacetError(
    `No row is left to train on: all ${rows} were dropped: ${reasons.join(", ")}. ` +
      "Check the template's fields and the sequence length.",
  );
}
