import { FacetError } from "../errors.js";
import type { ChatMessage } from "../tokenizers/chatTemplate.js";
import type { ChatFormat } from "./rowFormat.js";
import { jsonType, placeText, type Row, textField } from "./rows.js";

/** Other names of the roles, as they occur in published data. */
const ROLES: Readonly<Record<string, string>> = {
  ...{ human: "user", gpt: "assistant", chatgpt: "assistant", bing: "assistant", bot: "assistant" },
};

/** The conversation of a row; of a preference it ends in the chosen answer. */
export function chatOf(row: Row, format: ChatFormat): ChatMessage[] | undefined {
  if (format !== "chat-preference") return conversationOf(row, format);
  const answer = conversationOf(row, "chosen");
  const prompt = Array.isArray(row.nonText.prompt)
    ? conversationOf(row, "prompt")!
    : userTurn(textField(row, "prompt"));
  return answer && [...prompt, ...answer];
}

const userTurn = (content: string | undefined): ChatMessage[] =>
  content === undefined ? [] : [{ role: "user", content }];

/**
 * The messages in a field of a row: `{role, content}` as OpenAI and Hugging Face write them, or `{from, value}` as
 * ShareGPT does; a content is text, or a list of parts that are all text. The field is a list, or JSON text of one.
 * Undefined where the row lacks it. Throws a FacetError with file and line for anything else.
 */
export function conversationOf(row: Row, field: string): ChatMessage[] | undefined {
  const value = Object.hasOwn(row.nonText, field) ? row.nonText[field] : parsed(row, field);
  if (value === undefined) return undefined;
  const bad = (what: string) =>
    new FacetError(
      `${placeText(row)}: ${what}. Expected {"${field}": [{"role": "user", "content": "…"}, …]}, or "from" and "value" instead.`,
    );
  if (!Array.isArray(value)) throw bad(`field "${field}" is ${jsonType(value)}`);
  return value.map((message: unknown, i) => {
    const where = `message ${i + 1} in "${field}"`;
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      throw bad(`${where} is ${jsonType(message)}`);
    }
    const { role, from, content, value } = message as Record<string, unknown>;
    const name = role ?? from;
    const text = textOf(content ?? value);
    if (typeof name !== "string") throw bad(`${where} has no role`);
    if (text === undefined) throw bad(`${where} has no text`);
    const known = Object.hasOwn(ROLES, name) ? ROLES[name]! : name;
    // Roles are checked where conversations are rendered: a row with another one is left out and counted.
    return { role: known as ChatMessage["role"], content: text };
  });
}

function parsed(row: Row, field: string): unknown {
  const text = Object.hasOwn(row.fields, field) ? row.fields[field]! : undefined;
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function textOf(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const parts = content.map((part) =>
    typeof part === "object" && part !== null && part.type === "text" ? part.text : undefined,
  );
  return parts.every((part) => typeof part === "string") ? parts.join("") : undefined;
}
