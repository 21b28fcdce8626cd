import { FacetError } from "../errors.js";
import { type Row, textField } from "./rows.js";

/**
 * The schemas that Facet knows without being told. `messages` are conversations as OpenAI and Hugging Face have them,
 * `conversations` those of ShareGPT, `preference` a prompt with an answer that is preferred to another. In a
 * `chat-preference` both are lists of messages, which a prompt, text or such a list, may precede.
 */
const FIELDS = {
  messages: ["messages"],
  conversations: ["conversations"],
  preference: ["prompt", "chosen", "rejected"],
  "chat-preference": ["chosen", "rejected"],
  dolly: ["instruction", "response"],
  alpaca: ["instruction", "output"],
  "prompt-completion": ["prompt", "completion"],
  text: ["text"],
} as const;

export type RowFormat = keyof typeof FIELDS;

/** The formats whose fields are lists of messages. */
export type ChatFormat = "messages" | "conversations" | "chat-preference";

export const isChat = (format: RowFormat): format is ChatFormat =>
  format === "messages" || format === "conversations" || format === "chat-preference";

/** The first known format of which some row has all fields. Throws a FacetError naming the fields there are. */
export function rowFormat(rows: readonly Row[]): RowFormat {
  for (const format of Object.keys(FIELDS) as RowFormat[]) {
    const has = (row: Row, field: string) =>
      (isChat(format) && Array.isArray(row.nonText[field])) ||
      (format !== "chat-preference" && Object.hasOwn(row.fields, field));
    if (rows.some((row) => FIELDS[format].every((field) => has(row, field)))) return format;
  }
  // Fields of the right names that hold no text are the likeliest mistake: say which.
  for (const row of rows) for (const field of Object.values(FIELDS).flat()) textField(row, field);
  const found = new Set(rows.flatMap((row) => Object.keys(row.fields)));
  const first = rows[0];
  const known = Object.values(FIELDS).map((fields) => `{${fields.join(", ")}}`);
  throw new FacetError(
    `${first === undefined ? "No rows" : first.file}: unknown format. ` +
      `Known: ${known.join(", ")}; found the text fields: ${[...found].join(", ") || "none"}. ` +
      "Say which fields they are, for example --columns prompt=question,completion=answer, " +
      "or name your fields in a template, for example --template 'Q: {question}\nA: {answer}'.",
  );
}
