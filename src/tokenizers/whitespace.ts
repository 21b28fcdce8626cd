/** U+2581, which stands for a space in pieces. */
export const SPACE_SYMBOL = 0x2581;

/** What a model's normalizer does to white space; its identity on all else is what `readModel` makes sure of. */
export interface WhitespaceRules {
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

/**
 * The text after SentencePiece's normalizer (normalizer.cc), except that spaces are still spaces: the encoder reads
 * one as U+2581 when `escapeWhitespaces` is set.
 */
export function normalize(text: string, rules: WhitespaceRules): string {
  let body = text;
  if (rules.removeExtraWhitespaces) body = body.replace(/^ +/, "").replace(/ {2,}/g, " ");
  if (body === "") return "";
  if (rules.addDummyPrefix) body = ` ${body}`;
  if (!rules.removeExtraWhitespaces) return body;
  let end = body.length;
  const isSpace = (unit: number) =>
    unit === 0x20 || (rules.escapeWhitespaces && unit === SPACE_SYMBOL);
  while (end > 0 && isSpace(body.charCodeAt(end - 1))) end -= 1;
  return body.slice(0, end);
}
