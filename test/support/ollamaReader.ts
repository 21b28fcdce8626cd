/**
 * A Modelfile as Ollama reads it (parser/parser.go of github.com/ollama/ollama, in the part that Facet writes), rune by
 * rune: a value ends with its line, unless it has begun a quotation, and runes that do not print are dropped.
 */
export function readModelfile(text: string): { name: string; value: string }[] {
  const commands: { name: string; value: string }[] = [];
  let rest = Array.from(text);
  while (rest.length > 0) {
    const space = rest.indexOf(" ");
    let name = rest.slice(0, space).join("");
    rest = rest.slice(space + 1);
    if (name === "PARAMETER") {
      const next = rest.indexOf(" ");
      name = rest.slice(0, next).join("");
      rest = rest.slice(next + 1);
    }
    let value = "";
    let end = 0;
    for (; end < rest.length; end++) {
      const rune = rest[end]!;
      if (rune === "\n" || rune === "\r") {
        if (unquoted(value.trim()) !== undefined) break;
        value += rune;
      } else if (/[\p{L}\p{M}\p{N}\p{P}\p{S} \t]/u.test(rune)) {
        value += rune;
      }
    }
    const whole = unquoted(value.trim());
    if (whole === undefined) throw new Error(`${name} has no end`);
    commands.push({ name, value: whole });
    rest = rest.slice(end + 1);
  }
  return commands;
}

function unquoted(value: string): string | undefined {
  for (const quotes of ['"""', '"']) {
    if (!value.startsWith(quotes)) continue;
    const whole = value.length >= 2 * quotes.length && value.endsWith(quotes);
    return whole ? value.slice(quotes.length, -quotes.length) : undefined;
  }
  return value;
}

/** What Go's text/template makes of the actions that Facet writes: fields, text in quotes, and the system's block. */
export function executeGoTemplate(
  template: string,
  fields: { Prompt: string; Response: string; System?: string },
): string {
  const system = fields.System ?? "";
  const block = /\{\{ if \.System \}\}(.*?)\{\{ end \}\}/gs;
  return template
    .replace(block, (_, body: string) => (system === "" ? "" : body))
    .replace(/\{\{ (?:\.(\w+)|"((?:[^"\\]|\\.)*)") \}\}/gs, (_, field, text) => {
      if (text === undefined) return (fields as Record<string, string>)[field] ?? "";
      return text.replace(/\\U([0-9A-F]{8})|\\(.)/g, (_: string, code?: string, other?: string) =>
        code === undefined ? other! : String.fromCodePoint(Number.parseInt(code, 16)),
      );
    });
}
