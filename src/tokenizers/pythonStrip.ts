// Jinja's `trim` is Python's str.strip: unlike JavaScript's it takes U+001C–U+001F and U+0085, and leaves U+FEFF.

/** As Python's `text.lstrip()`. */
export function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && isPythonSpace(text[start]!)) start += 1;
  return text.slice(start);
}

/** As Python's `text.rstrip()`. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isPythonSpace(text[end - 1]!)) end -= 1;
  return text.slice(0, end);
}

function isPythonSpace(unit: string): boolean {
  if (unit === "\uFEFF") return false;
  return unit.trim() === "" || unit === "\u0085" || (unit >= "\u001C" && unit <= "\u001F");
}
