import { readFileSync } from "node:fs";
import { readSentencePiece, tokenizerOf } from "../../src/tokenizers/sentencePiece.js";
import { cacheFolder } from "../places.js";

export interface TokenizerOptions {
  /** A tokenizer.model. */
  readonly tokenizer: string;
  /** JSON Lines. */
  readonly data: string;
}

export interface TokenizerSample {
  /** Bytes of text, and how many a second are encoded. */
  readonly bytes: number;
  readonly rate: number;
  /** Bytes of text a second of which `JSON.parse` makes objects. */
  readonly parseRate: number;
  readonly tokens: number;
  /** Until the tokenizer has encoded something, with and without its tables from the cache. */
  readonly readyMs: number;
  readonly madeMs: number;
}

/** Encodes all texts of a data set in one thread, with a new tokenizer in each run: nothing is remembered from the last one. */
export async function openTokenizer(
  options: TokenizerOptions,
): Promise<() => Promise<TokenizerSample>> {
  const lines = readFileSync(options.data, "utf8").trim().split("\n");
  const texts = lines.flatMap((line) =>
    Object.values(JSON.parse(line) as Record<string, string>).filter((text) => text !== ""),
  );
  const sizeOf = (list: readonly string[]) =>
    list.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const [bytes, lineBytes] = [sizeOf(texts), sizeOf(lines)];
  const seconds = (work: () => void) => {
    const began = performance.now();
    work();
    return (performance.now() - began) / 1000;
  };
  const ready = (cache?: string) =>
    1000 *
    seconds(() => tokenizerOf(readSentencePiece(options.tokenizer, cache)).encode("Hello, world!"));
  return async () => {
    const madeMs = ready();
    const readyMs = ready(cacheFolder());
    const tokenizer = tokenizerOf(readSentencePiece(options.tokenizer, cacheFolder()));
    let tokens = 0;
    const rate =
      bytes /
      seconds(() => {
        for (const text of texts) tokens += tokenizer.encodeOrdinary(text).length;
      });
    const parseRate =
      lineBytes /
      seconds(() => {
        for (const line of lines) JSON.parse(line);
      });
    return { bytes, rate, parseRate, tokens, readyMs, madeMs };
  };
}
