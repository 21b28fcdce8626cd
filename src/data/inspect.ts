import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { fullLengths } from "./exampleStore.js";
import type { Example, Prepared } from "./examples.js";
import { type LengthBucket, lengthHistogram } from "./lengths.js";
import type { PrepareReport } from "./prepareReport.js";

/** One token of an example, for show. */
export interface ShownToken {
  readonly id: number;
  /** The vocabulary's spelling: "▁" for a space, <0x0A> for a byte. */
  readonly piece: string;
  /** Whether the model is to predict it. */
  readonly target: boolean;
}

/** What a set of rows became. */
export interface Inspection {
  readonly report: PrepareReport;
  /** Of the token lengths before truncation. */
  readonly histogram: readonly LengthBucket[];
  /** Share of the tokens after the start tokens that are targets, in (0, 1]. */
  readonly targetShare: number;
  /** Share of what a batch padded to the sequence length would compute for nothing, in [0, 1). */
  readonly paddingShare: number;
}

/** Statistics of prepared rows for the sequence length they were prepared with. */
export function inspectPrepared(prepared: Prepared, sequenceLength: number): Inspection {
  const { examples, report } = prepared;
  const { inputTokens, targetTokens } = report;
  return {
    report,
    histogram: lengthHistogram(fullLengths(examples)),
    targetShare: targetTokens / inputTokens,
    paddingShare: 1 - inputTokens / (examples.length * sequenceLength),
  };
}

/** The example token by token, as the model sees it. */
export function shownTokens(example: Example, tokenizer: Tokenizer): ShownToken[] {
  return Array.from(example.ids, (id, i) => ({
    id,
    piece: tokenizer.idToPiece(id),
    target: example.isTarget[i] === 1,
  }));
}
