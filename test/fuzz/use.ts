import type { StoredTensor } from "../../src/formats/storedTensor.js";
import { tokenizerOf } from "../../src/tokenizers/sentencePiece.js";
import type { TokenizerModel } from "../../src/tokenizers/tokenizerModel.js";
import { expectThat } from "./format.js";

/** Reads a tensor to its end: there must be as many values as its shape says, in whole rows. */
export function useTensor({ shape, read }: StoredTensor): void {
  const count = shape.reduce((product, size) => product * size, 1);
  const width = shape.at(-1) ?? 1;
  let found = 0;
  for (const piece of read()) {
    expectThat(piece.length % width === 0, "a piece of whole rows");
    found += piece.length;
  }
  expectThat(found === count, "as many values as the shape says");
}

const TEXT = " ab\nba é<bos><start_of_turn>漢\uD800👍  ";

/** Text to ids and back. */
export function useTokenizer(model: TokenizerModel): void {
  const tokenizer = tokenizerOf(model);
  const { vocabularySize } = tokenizer;
  for (const ids of [tokenizer.encode(TEXT), tokenizer.encodeOrdinary(TEXT)]) {
    expectThat(
      ids.every((id) => Number.isInteger(id) && id >= 0 && id < vocabularySize),
      "ids of the vocabulary",
    );
    expectThat(typeof tokenizer.decode(ids) === "string", "text from ids");
  }
  for (const id of [model.padId, model.eosId, model.bosId, model.unkId]) {
    expectThat(typeof tokenizer.idToPiece(id) === "string", "control pieces in the vocabulary");
  }
}
