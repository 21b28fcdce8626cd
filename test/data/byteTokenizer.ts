import type { Tokenizer } from "../../src/tokenizers/tokenizer.js";

const PIECES = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"];

/**
 * A tokenizer for tests: one id per UTF-8 byte after the control pieces. Like SentencePiece it takes a turn marker
 * for its id wherever the text spells it, and never `<bos>` or `<eos>`.
 */
export function byteTokenizer(pieces = PIECES, vocabularySize = 256 + pieces.length): Tokenizer {
  const first = pieces.length;
  const bytes = (text: string) => Array.from(Buffer.from(text), (byte) => byte + first);
  return {
    vocabularySize,
    padId: 0,
    eosId: 1,
    bosId: 2,
    unkId: 3,
    encode: (text) =>
      text
        .split(/(<start_of_turn>|<end_of_turn>)/)
        .flatMap((run) => (pieces.includes(run) ? [pieces.indexOf(run)] : bytes(run))),
    encodeOrdinary: bytes,
    decode: (ids) =>
      Buffer.from([...ids].filter((id) => id >= first).map((id) => id - first)).toString(),
    pieceToId: (piece) => (pieces.includes(piece) ? pieces.indexOf(piece) : undefined),
    idToPiece: (id) => pieces[id] ?? String.fromCharCode(id - first),
  };
}

/** Without turn markers, as an older tokenizer. */
export const plainBytes = () => byteTokenizer(PIECES.slice(0, 4));
