/** Finds the longest of some pieces at a place in a text: SentencePiece takes user-defined pieces so, before all merging. */
export class UserPieces {
  // A trie: the node after `node` and `unit` is at the key node · 65536 + unit. Node 0 is the root.
  readonly #next = new Map<number, number>();
  readonly #idAt: number[] = [-1];
  readonly #starts = new Uint8Array(65536);
  /** The length in UTF-16 units of the last match. */
  length = 0;

  constructor(pieces: Iterable<readonly [id: number, piece: string]>) {
    for (const [id, piece] of pieces) {
      let node = 0;
      for (let i = 0; i < piece.length; i++) {
        const key = node * 65536 + piece.charCodeAt(i);
        let next = this.#next.get(key);
        if (next === undefined) {
          next = this.#idAt.push(-1) - 1;
          this.#next.set(key, next);
        }
        node = next;
      }
      this.#idAt[node] = id;
      this.#starts[piece.charCodeAt(0)] = 1;
    }
  }

  /** The id of the longest piece at `start`, or −1. A space in the text counts as the unit `space`. */
  match(text: string, start: number, space: number): number {
    const first = text.charCodeAt(start);
    if (this.#starts[first === 0x20 ? space : first] === 0) return -1;
    let found = -1;
    let node: number | undefined = 0;
    for (let i = start; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      node = this.#next.get(node * 65536 + (unit === 0x20 ? space : unit));
      if (node === undefined) break;
      if (this.#idAt[node]! >= 0) {
        found = this.#idAt[node]!;
        this.length = i + 1 - start;
      }
    }
    return found;
  }
}

const HTML =
  /^<\/?(table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code)>$/;

/**
 * Whether a user-defined piece marks structure that text must not forge: Gemma's `<start_of_turn>`, `<mask>`,
 * `<unused7>`, `[@BOS@]` and whatever else stands in brackets, except for the HTML tags of its vocabulary.
 */
export function isMarker(piece: string): boolean {
  return /^(<.+>|\[.+\])$/s.test(piece) && !HTML.test(piece);
}
