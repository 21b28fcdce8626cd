/** Text to token ids and back. */
export interface Tokenizer {
  readonly vocabularySize: number;
  readonly padId: number;
  readonly eosId: number;
  readonly bosId: number;
  readonly unkId: number;
  /** The ids of a text, without start and end tokens. Text never becomes a control piece such as `<bos>`. */
  encode(text: string): number[];
  /**
   * As `encode`, but text cannot forge structure either: where it spells a marker that is a user-defined piece, such as
   * `<start_of_turn>`, the result is the ids of those letters. For every text that someone else wrote.
   */
  encodeOrdinary(text: string): number[];
  /** The text of the ids; control pieces add nothing. Throws a FacetError for an id outside the vocabulary. */
  decode(ids: Iterable<number>): string;
  /** The id of the piece spelled exactly so, if there is one. */
  pieceToId(piece: string): number | undefined;
  /** The piece as the vocabulary spells it. Throws a FacetError for an id outside the vocabulary. */
  idToPiece(id: number): string;
  /** The tokenizer in the form of `vocabularyBytes`, from which another thread makes the same. */
  vocabulary?(): Uint8Array;
}
