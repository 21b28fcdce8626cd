/**
 * Speculative decoding without a second model (Leviathan et al. 2023, arXiv:2211.17192; prompt lookup, Saxena 2023): where
 * the last tokens have occurred before, what followed them then is guessed to follow again. The model checks all guesses
 * in one step, which reads its weights once.
 */

/** Tokens that must have occurred before: longer ones are looked for first. */
const [longest, shortest] = [4, 2];
/** Most guesses of a step. A few rows cost hardly more than one, many do. */
const most = 12;

export interface Guesser {
  /** What may follow `ids`, at most `limit` tokens; often nothing. */
  guess(ids: readonly number[], limit: number): number[];
  /** Is told how many of the last guesses were right: more are made after success, fewer after failure. */
  learn(guessed: number, right: number): void;
}

export function openGuesser(): Guesser {
  let count = 3;
  return {
    guess(ids, limit) {
      const wanted = Math.min(count, limit);
      if (wanted < 1) return [];
      for (let length = longest; length >= shortest; length--) {
        const at = lastOccurrence(ids, length);
        if (at !== undefined) return ids.slice(at + length, at + length + wanted);
      }
      return [];
    },
    learn(guessed, right) {
      if (guessed === 0) return;
      if (right === guessed) count = Math.min(most, 2 * count);
      else count = Math.max(1, Math.ceil((count + right) / 2) - (right === 0 ? 1 : 0));
    },
  };
}

/** Where the last `length` ids have begun before, most recently; undefined if never. */
function lastOccurrence(ids: readonly number[], length: number): number | undefined {
  const end = ids.length - length;
  for (let at = end - 1; at >= 0; at--) {
    let same = 0;
    while (same < length && ids[at + same] === ids[end + same]) same++;
    if (same === length) return at;
  }
  return undefined;
}
