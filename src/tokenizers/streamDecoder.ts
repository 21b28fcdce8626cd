import { settledBytes } from "./byteRuns.js";
import type { Tokenizer } from "./tokenizer.js";
import { byteOfPiece } from "./tokenizerModel.js";

/** Decodes ids as they are generated. All that is returned, joined, equals `decode` of all ids. */
export interface StreamDecoder {
  /** The text that is certain now. Never half a character. Throws a FacetError for an id outside the vocabulary. */
  push(id: number): string;
  /** The rest: U+FFFD for each byte of a character that was begun and not finished. Starts a new text. */
  flush(): string;
}

/** A decoder for one text of `tokenizer`, which may spell bytes as SentencePiece does, `<0x00>` to `<0xFF>`. */
export function streamDecoder(tokenizer: Tokenizer): StreamDecoder {
  // Ids that precede all further ones, so that these are not taken for the start of a text, where a space may be dropped.
  let context: number[] = [];
  let contextText = "";
  const run: number[] = [];
  let bytes: number[] = [];

  const emit = (ids: readonly number[]): string => {
    if (ids.length === 0) return "";
    // The control piece between them adds no text; it keeps the context's last byte from joining with new ones.
    const text = tokenizer.decode([...context, tokenizer.bosId, ...ids]);
    const fresh = text.slice(contextText.length);
    if (contextText === "") {
      context.push(...ids);
      contextText = text;
    }
    return fresh;
  };
  const takeRun = (count: number): number[] => {
    bytes = bytes.slice(count);
    return run.splice(0, count);
  };

  return {
    push(id) {
      const byte = byteOfId(tokenizer, id);
      if (byte === undefined) return emit([...takeRun(run.length), id]);
      run.push(id);
      bytes.push(byte);
      return emit(takeRun(settledBytes(bytes)));
    },
    flush() {
      const rest = emit(takeRun(run.length));
      context = [];
      contextText = "";
      return rest;
    },
  };
}

// A piece of another type may be spelled like a byte; that one decodes to its spelling.
function byteOfId(tokenizer: Tokenizer, id: number): number | undefined {
  const piece = tokenizer.idToPiece(id);
  const byte = byteOfPiece(piece);
  return byte !== undefined && tokenizer.decode([id]) !== piece ? byte : undefined;
}
