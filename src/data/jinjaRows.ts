import { FacetError } from "../errors.js";
import { controlPieces } from "../tokenizers/chatTemplate.js";
import { jinjaNames, jinjaTemplate } from "../tokenizers/jinja.js";
import type { Segment } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { placeText, type Row, textField } from "./rows.js";
import type { RowTemplate } from "./rowTemplate.js";

const WHERE = "The template";

/** Whether a Jinja template reads a conversation; others read the fields of a row. */
export const usesMessages = (source: string): boolean => jinjaNames(source, WHERE).has("messages");

// A value's "<" and "[" could begin a marker, also together with what follows it: they are hidden while a template is
// rendered. Characters of the private use area that a value holds itself are marked by another one.
const HIDDEN = { "<": "\uE000", "[": "\uE001" } as const;
const ESCAPE = "\uE002";
const RESPONSE = "\uE003";
const hide = (text: string): string =>
  text.replace(/[<[\uE000-\uE003]/g, (c) => HIDDEN[c as keyof typeof HIDDEN] ?? ESCAPE + c);
const shown = (text: string): string =>
  text.replace(/\uE002([\uE000-\uE003])|[\uE000\uE001]/g, (c, escaped: string | undefined) =>
    escaped !== undefined ? escaped : c === HIDDEN["<"] ? "<" : "[",
  );

/**
 * Rows through a Jinja template of their fields. The completion begins at the last field that the template writes, and
 * reaches to the end. Values can forge no control piece. Throws a FacetError for a template that writes no field of the rows.
 */
export function jinjaRows(
  name: string,
  source: string,
  rows: readonly Row[],
  tokenizer: Tokenizer,
): RowTemplate {
  const template = jinjaTemplate(source, WHERE);
  const texts = new Set(rows.flatMap((row) => Object.keys(row.fields)));
  const used = jinjaNames(source, WHERE);
  const fields = [...texts].filter((field) => used.has(field));
  const run = (values: Record<string, unknown>) =>
    template({
      bos_token: tokenizer.idToPiece(tokenizer.bosId),
      eos_token: tokenizer.idToPiece(tokenizer.eosId),
      ...values,
    });
  const valuesOf = (row: Row) => ({
    ...row.nonText,
    ...Object.fromEntries(Object.entries(row.fields).map(([key, text]) => [key, hide(text)])),
  });
  const other = rows.find((row) => Object.keys(row.nonText).length > 0)?.nonText;
  const response = lastWritten(fields, (values) => run({ ...other, ...values }), [...texts]);

  const segmentsOf = (text: string, target: boolean): Segment[] =>
    controlPieces(text, target, tokenizer)
      .map((segment) => ("text" in segment ? { ...segment, text: shown(segment.text) } : segment))
      .filter((segment) => !("text" in segment && segment.text === ""));
  const promptText = (values: Record<string, unknown>) => {
    const asked = run({ ...values, [response]: RESPONSE });
    return asked.slice(0, asked.lastIndexOf(RESPONSE));
  };
  return {
    ...{ name, source, fields },
    segments(row, targets) {
      const answer = textField(row, response);
      if (answer === undefined) return "missing field";
      if (answer.trim() === "") return "empty response";
      const values = valuesOf(row);
      const text = run(values);
      const prompt = promptText(values);
      if (!text.startsWith(prompt)) {
        throw new FacetError(
          `${placeText(row)}: the template writes another text before "${response}" when that is known, so the completion cannot be told from the rest.`,
        );
      }
      return [
        ...segmentsOf(prompt, targets === "all"),
        ...segmentsOf(text.slice(prompt.length), true),
      ];
    },
    promptFor(instruction) {
      const asked = Object.fromEntries(fields.map((field) => [field, hide(instruction)]));
      return segmentsOf(promptText(asked), false);
    },
  };
}

/** The field that stands last in the rendered text. */
function lastWritten(
  fields: readonly string[],
  run: (values: Record<string, unknown>) => string,
  known: readonly string[],
): string {
  const marks = fields.map((field, i) => [field, `\uE000${i}\uE001`] as const);
  const text = run(Object.fromEntries(marks));
  const [last] = marks
    .map(([field, mark]) => ({ field, at: text.lastIndexOf(mark) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => b.at - a.at);
  if (last !== undefined) return last.field;
  throw new FacetError(
    `${WHERE} writes no field of the rows, so every row would become the same text. Their fields: ${known.join(", ") || "none"}.`,
  );
}
