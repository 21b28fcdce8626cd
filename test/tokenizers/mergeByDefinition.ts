/**
 * Byte-pair merging by its definition, on the whole text and without any shortcut: join the best-scored pair, the
 * leftmost of equals, until no two neighbours spell a piece.
 */
export function mergeByDefinition(
  characters: readonly string[],
  scores: ReadonlyMap<string, number>,
): string[] {
  const symbols = [...characters];
  for (;;) {
    let best = -1;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const score = scores.get(symbols[i]! + symbols[i + 1]!);
      if (score !== undefined && score > bestScore) {
        best = i;
        bestScore = score;
      }
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
}
