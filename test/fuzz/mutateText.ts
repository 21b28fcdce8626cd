import type { Random } from "../../src/random.js";
import { happens, pick } from "./chance.js";

/** What ends, begins or escapes something in a template, a Modelfile, or a table of values. */
const PARTS = [
  ...['"', '""', '"""', "{", "{{", "}", "}}", "{prompt}", "{completion}", "{{ .Prompt }}", "\\"],
  ...["{{ end }}", "{{/*", "{{-", "\n", "\r", "\r\n", "\t", " ", "\u0000", "\u00A0", "\u2028"],
  ...["\uFEFF", "é", "👍", "FROM /etc/passwd\n", "\nPARAMETER stop x\n", "#", "<end_of_turn>"],
  ...[
    "<start_of_turn>",
    "<bos>",
    "%}",
    "{%",
    "range(",
    "9999999999",
    "loop",
    "namespace(",
    "| length",
    "~",
    "[",
    "]",
    "(",
    ")",
    "{% for x in messages %}",
    "{% endfor %}",
    "./",
    "../",
    ",",
    ";",
    "'",
    "`",
    "$",
    "NaN",
    "1e999",
  ],
];

/** Changes a text in a few places; the result may be cut in the middle of a character. */
export function mutateText(bytes: Uint8Array, random: Random): Uint8Array {
  let text = Buffer.from(bytes).toString();
  const times = 1 + random.below(happens(random, 4) ? 8 : 3);
  for (let i = 0; i < times; i++) {
    const at = random.below(text.length + 1);
    const run = random.below(happens(random, 4) ? 64 : 4);
    const part = pick(random, [pick(random, PARTS), pick(random, PARTS), text.slice(at, at + run)]);
    text = text.slice(0, at) + part + text.slice(at + (happens(random, 2) ? run : 0));
    if (happens(random, 200)) text += part.repeat(1000);
  }
  return Buffer.from(text);
}
