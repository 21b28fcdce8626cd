import type { Random } from "../../src/random.js";
import { happens, pick } from "./chance.js";

/** Changes a JSON text in a few places: mostly to other JSON, sometimes to none. */
export function mutateJson(bytes: Uint8Array, random: Random): Uint8Array {
  const text = Buffer.from(bytes).toString();
  const tokens = tokensOf(bytes, text);
  if (tokens.length === 0) return Buffer.from(pick(random, VALUES));
  const edits = Array.from({ length: 1 + random.below(happens(random, 4) ? 6 : 2) }, () =>
    edit(text, tokens, random.below(tokens.length), random),
  ).sort((a, b) => a.from - b.from);
  const parts: string[] = [];
  let at = 0;
  for (const { from, to, by } of edits) {
    if (from < at) continue;
    parts.push(text.slice(at, from), by);
    at = to;
  }
  parts.push(text.slice(at));
  return Buffer.from(parts.join(""));
}

interface Token {
  readonly from: number;
  readonly to: number;
}

interface Edit extends Token {
  readonly by: string;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[a-z]+|[{}[\],:]/g;
const known = new WeakMap<Uint8Array, Token[]>();

/** The tokens of a text; an input is mutated many times, so they are kept. */
function tokensOf(bytes: Uint8Array, text: string): Token[] {
  const found = known.get(bytes);
  if (found !== undefined) return found;
  const tokens = Array.from(text.matchAll(TOKEN), ({ index, 0: { length } }) => ({
    from: index,
    to: index + length,
  }));
  known.set(bytes, tokens);
  return tokens;
}

const NUMBERS = [
  ...[
    "0",
    "1",
    "-1",
    "-0",
    "2",
    "3",
    "7",
    "0.5",
    "1.5",
    "-1e-9",
    "1e-320",
    "1e15",
    "1e30",
    "1e308",
  ],
  ...["1e999", "-1e999", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295"],
  ...["4294967296", "9007199254740991", "9007199254740992", "18446744073709551615", "100000000"],
];
const STRINGS = [
  ...['""', '"__proto__"', '"constructor"', '"toString"', '"hasOwnProperty"', '"length"', '"0"'],
  ...['"../x.safetensors"', '"/etc/passwd"', '"..\\\\x.safetensors"', '"a\\u0000.safetensors"'],
  ...['"./model.safetensors"', '"x/../model.safetensors"', '"\\ud800"', '"\\u0000"', '"\\u2581"'],
  ...['" "', '"[PAD]"', '"<0x41>"', '"<bos>"', '"model.layers.0.self_attn.q_proj"', '"q_proj"'],
  ...[
    '".*"',
    '"(a+)+$"',
    '".*.*.*.*x"',
    '"("',
    '"^$"',
    '"linear"',
    '"gemma2"',
    '"gemma3"',
    '"LORA"',
  ],
  ...['"F32"', '"BF16"', '"I64"', '"F64"', '"F8_E4M3"', '"😀"', `"${"a".repeat(300)}"`],
];
const VALUES = [
  ...["null", "true", "false", "[]", "{}", "[null]", "[[]]", "[0]", '[""]', '{"":{}}', "[1,1]"],
  ...['{"__proto__":{"x":1}}', '{"length":4294967295}', "NaN", "undefined", "'x'", ""],
];

function edit(text: string, tokens: readonly Token[], index: number, random: Random): Edit {
  const token = tokens[index]!;
  const { from, to } = token;
  const first = text[from]!;
  switch (random.below(10)) {
    case 0:
      return { from, to, by: pick(random, VALUES) };
    case 1: {
      // A value from elsewhere in the text.
      const other = valueAt(text, tokens, random.below(tokens.length));
      const own = valueAt(text, tokens, index);
      return { ...own, by: text.slice(other.from, other.to) };
    }
    case 2:
      return { ...withComma(text, tokens, index), by: "" };
    case 3: {
      // The same again: an object has a key twice then.
      const { from, to } = withComma(text, tokens, index);
      const part = text.slice(from, to);
      const separator = part.endsWith(",") ? "" : ",";
      const times = happens(random, 50) ? Math.min(2000, Math.ceil(50_000 / part.length)) : 2;
      return { from, to, by: Array.from({ length: times }, () => part).join(separator) };
    }
    case 4:
      if (first === "{") {
        const key = pick(random, STRINGS);
        return { from, to, by: `{${key}:${pick(random, [...VALUES, ...NUMBERS])},` };
      }
      if (first === "[") return { from, to, by: `[${pick(random, [...NUMBERS, ...STRINGS])},` };
      break;
    case 5:
      if (happens(random, 40)) {
        const depth = pick(random, [100, 2000, 20_000]);
        const [open, close] = pick(random, [
          ["[", "]"],
          ['{"a":', "}"],
        ]);
        const own = valueAt(text, tokens, index);
        return { ...own, by: `${open.repeat(depth)}1${close.repeat(depth)}` };
      }
      break;
  }
  if (first === '"') return { from, to, by: mutateString(text.slice(from, to), random) };
  if (/[-\d]/.test(first)) return { from, to, by: mutateNumber(text.slice(from, to), random) };
  return { from, to, by: pick(random, [...NUMBERS, ...STRINGS, ...VALUES, first, first]) };
}

function mutateString(text: string, random: Random): string {
  if (!happens(random, 3)) return pick(random, STRINGS);
  const at = 1 + random.below(Math.max(1, text.length - 2));
  return (
    text.slice(0, at) + pick(random, ["", ".", "/", "9", "\\u0000", "é", "x"]) + text.slice(at + 1)
  );
}

function mutateNumber(text: string, random: Random): string {
  if (!happens(random, 2)) return pick(random, NUMBERS);
  const value = Number(text);
  return String(pick(random, [value + 1, value - 1, value * 2, value / 2, -value, value + 4]));
}

/** The value, or the key with its value, that begins at a token. */
function valueAt(text: string, tokens: readonly Token[], index: number): Token {
  const { from, to } = tokens[index]!;
  const next = tokens[index + 1];
  if (next !== undefined && text[next.from] === ":" && tokens[index + 2] !== undefined) {
    return { from, to: valueAt(text, tokens, index + 2).to };
  }
  if (text[from] !== "{" && text[from] !== "[") return { from, to };
  let depth = 0;
  for (let i = index; i < tokens.length; i++) {
    const token = text[tokens[i]!.from]!;
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    if (depth === 0) return { from, to: tokens[i]!.to };
  }
  return { from, to };
}

/** As `valueAt`, with the comma that follows. */
function withComma(text: string, tokens: readonly Token[], index: number): Token {
  const { from, to } = valueAt(text, tokens, index);
  return { from, to: text[to] === "," ? to + 1 : to };
}
