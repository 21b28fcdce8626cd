/** What a text should not have in it, by name. */
const FLAWS: Readonly<Record<string, RegExp>> = {
  "replacement characters, where text was lost": /\uFFFD/,
  "control characters": /[^\P{Cc}\t\n\r]/u,
  "UTF-8 that was read as another encoding": /Ã[\u0080-\u00BF¡-¿]|â€[™œ\u009D“”˜¦]|Â[ °·«»]/,
  "HTML entities": /&(?:amp|lt|gt|quot|nbsp|#\d{2,5});/,
};

/** The flaws of a text. */
export const textFlaws = (text: string): string[] =>
  Object.entries(FLAWS)
    .filter(([, pattern]) => pattern.test(text))
    .map(([name]) => name);
