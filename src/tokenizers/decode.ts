import { FacetError } from "../errors.js";
import { decodeBytes } from "./byteRuns.js";
import { byteOfPiece, type TokenizerModel, Type } from "./tokenizerModel.js";

/** The text of the ids, as SentencePieceProcessor::Decode has it. Throws a FacetError for an id outside the vocabulary. */
export function decode(model: TokenizerModel, ids: Iterable<number>): string {
  const stripsStart = model.addDummyPrefix || model.removeExtraWhitespaces;
  let text = "";
  let atStart = stripsStart;
  let bytes: number[] = [];
  const endBytes = () => {
    if (bytes.length > 0) text += decodeBytes(bytes);
    bytes = [];
  };
  for (const id of ids) {
    const piece = pieceOf(model, id);
    const type = model.types[id];
    if (type === Type.BYTE) {
      bytes.push(byteOfPiece(piece)!);
      continue;
    }
    endBytes();
    if (text !== "") atStart = false;
    if (type === Type.CONTROL) continue;
    if (type === Type.UNKNOWN) {
      text += model.unkSurface;
      continue;
    }
    const dropped = atStart && piece.startsWith("▁");
    text += (dropped ? piece.slice(1) : piece).replaceAll("▁", " ");
    // A dummy prefix is one space; removed extra white space is all of it.
    if (dropped && !model.removeExtraWhitespaces) atStart = false;
  }
  endBytes();
  return text;
}

/** The piece of an id. Throws a FacetError for an id outside the vocabulary. */
export function pieceOf(model: TokenizerModel, id: number): string {
  const { table } = model;
  if (!(Number.isInteger(id) && id >= 0 && id < table.size)) {
    throw new FacetError(
      `Token id ${id} is outside the tokenizer's vocabulary of ${table.size} pieces. Use the tokenizer that belongs to the model.`,
    );
  }
  return table.pieceOf(id);
}
