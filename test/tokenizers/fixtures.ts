import { readFileSync } from "node:fs";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";

/** Cases made by the SentencePiece library. */
export interface Vectors {
  readonly encode: readonly {
    text: string;
    ids: number[];
    pieces: string[];
    decoded: string;
    roundtrip: boolean;
  }[];
  readonly decode: readonly { ids: number[]; text: string }[];
}

export const fixturePath = (folder: string, file: string): string =>
  new URL(`../fixtures/${folder}/${file}`, import.meta.url).pathname;

export const vectorsOf = (folder: string): Vectors =>
  JSON.parse(readFileSync(fixturePath(folder, "vectors.json"), "utf8"));

export const tokenizerOf = (folder: string) =>
  loadSentencePiece(fixturePath(folder, "tokenizer.model"));

export const sharedFolder =
  process.env.FACET_SHARED ?? new URL("../../../shared", import.meta.url).pathname;
