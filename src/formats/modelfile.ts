import { FacetError } from "../errors.js";

/** What an Ollama Modelfile says of a model. */
export interface Modelfile {
  /** A GGUF file's path from the Modelfile's folder, beginning with "./", or the name of a model that Ollama has. */
  readonly from: string;
  /** A GGUF adapter's path, likewise. */
  readonly adapter?: string;
  /** Source in the language of Go's text/template; see `goTemplateText` for literal text. */
  readonly template: string;
  /** Texts at which generation ends; they are not part of the answer. */
  readonly stop: readonly string[];
}

/** Characters that Ollama's reader drops: what Go's strconv.IsPrint refuses, but for white space that it treats apart. */
const dropped = /[^\p{L}\p{M}\p{N}\p{P}\p{S} \t\n\r]/u;

/**
 * The text of a Modelfile (https://docs.ollama.com/modelfile; quoting as in Ollama's parser/parser.go, which knows no
 * escapes). Throws a FacetError for a value that Ollama would read as another one.
 */
export function modelfileText({ from, adapter, template, stop }: Modelfile): string {
  const lines = [
    `FROM ${path(from)}`,
    ...(adapter === undefined ? [] : [`ADAPTER ${path(adapter)}`]),
    `TEMPLATE """${checked(template, "template")}"""`,
    ...stop.map((word) => {
      const quotes = word.includes('"') ? '"""' : '"';
      return `PARAMETER stop ${quotes}${checked(word, "stop word")}${quotes}`;
    }),
  ];
  return `${lines.join("\n")}\n`;
}

/** Literal text for a template, so written that neither Go's template language nor Ollama's reader changes it. */
export function goTemplateText(text: string): string {
  // Half a surrogate pair has no UTF-8; the tokenizer reads it as U+FFFD too.
  const valid = text.replace(/\p{Cs}/gu, "\uFFFD");
  // One brace matters too, in front of an action's two.
  const special = new RegExp(`\\{+|"{3,}|${dropped.source}+`, "gu");
  return valid.replace(special, (found) => `{{ ${goString(found)} }}`);
}

function goString(text: string): string {
  const characters = Array.from(text, (character) => {
    if (character === '"') return '\\"';
    return dropped.test(character) ? `\\U${hex(character, 8)}` : character;
  });
  return `"${characters.join("")}"`;
}

function checked(value: string, what: string): string {
  const lost = dropped.exec(value)?.[0];
  const reason =
    lost !== undefined
      ? `Ollama drops the character U+${hex(lost, 4)}`
      : value.includes('"""')
        ? "three quotes end a value"
        : undefined;
  if (reason === undefined) return value;
  throw new FacetError(`A Modelfile cannot hold the ${what} ${JSON.stringify(value)}: ${reason}.`);
}

/** A path or name stands bare. */
function path(value: string): string {
  if (value === "" || value !== value.trim() || value.startsWith('"') || /[\n\r]/.test(value)) {
    throw new FacetError(
      `A Modelfile cannot name a file or model ${JSON.stringify(value)}. Choose a plain name.`,
    );
  }
  return checked(value, "name");
}

const hex = (character: string, digits: number) =>
  character.codePointAt(0)!.toString(16).toUpperCase().padStart(digits, "0");
