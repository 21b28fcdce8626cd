import { FacetError, unknownName } from "../errors.js";
import type { Tokenizer } from "./tokenizer.js";

/** One turn of a conversation; `assistant` is another name for `model`. */
export interface ChatMessage {
  readonly role: "user" | "model" | "assistant" | "system";
  readonly content: string;
}

/** `isTarget[i]` says whether a model learns to produce `ids[i]`. */
export interface RenderedChat {
  readonly ids: number[];
  readonly isTarget: boolean[];
}

const ROLES = ["user", "model", "assistant", "system"];
const MODEL = "model";

/**
 * A conversation as Gemma 1 and 2 read it:
 * `<bos>`, then for each message `<start_of_turn>{user|model}\n{content, trimmed}<end_of_turn>\n`, then with
 * `addGenerationPrompt` `<start_of_turn>model\n`. Markers are placed by id, and a content that spells one stays text.
 * Targets are the content, `<end_of_turn>` and newline of the model's turns.
 * Throws a FacetError for no messages, a system message, roles that do not alternate from `user` on, and a
 * tokenizer without turn markers.
 */
export function renderChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: { readonly addGenerationPrompt: boolean },
): RenderedChat {
  const startOfTurn = markerId(tokenizer, "<start_of_turn>");
  const endOfTurn = markerId(tokenizer, "<end_of_turn>");
  const ids: number[] = [];
  const isTarget: boolean[] = [];
  const append = (more: readonly number[], target: boolean) => {
    for (const id of more) {
      ids.push(id);
      isTarget.push(target);
    }
  };
  // Encoded apart from its content, as one piece never holds a newline and the letter after it in Gemma's vocabulary;
  // so the targets begin exactly with the content.
  const header = (role: string) => [startOfTurn, ...tokenizer.encodeOrdinary(`${role}\n`)];

  if (messages.length === 0) throw new FacetError("A chat needs at least one message.");
  append([tokenizer.bosId], false);
  for (const [index, message] of messages.entries()) {
    const role = turnRole(message, index);
    append(header(role), false);
    append(
      [
        ...tokenizer.encodeOrdinary(trim(message.content)),
        endOfTurn,
        ...tokenizer.encodeOrdinary("\n"),
      ],
      role === MODEL,
    );
  }
  if (options.addGenerationPrompt) append(header(MODEL), false);
  return { ids, isTarget };
}

function turnRole({ role }: ChatMessage, index: number): "user" | "model" {
  const where = `Message ${index + 1} of the chat`;
  if (!ROLES.includes(role)) throw unknownName("role", role, ROLES);
  if (role === "system") {
    throw new FacetError(
      `${where} has the role "system", which Gemma 1 and 2 do not have. Put its text at the beginning of the first user message.`,
    );
  }
  const expected = index % 2 === 0 ? "user" : MODEL;
  const actual = role === "user" ? "user" : MODEL;
  if (actual !== expected) {
    throw new FacetError(
      `${where} has the role "${role}" where "${expected}" is due: roles alternate user, model, user, model, beginning with user.`,
    );
  }
  return actual;
}

function markerId(tokenizer: Tokenizer, piece: string): number {
  const id = tokenizer.pieceToId(piece);
  if (id === undefined) {
    throw new FacetError(
      `The tokenizer has no piece ${piece}, so it cannot render a chat. Use a template without turns, such as tutorial.`,
    );
  }
  return id;
}

// The template's `trim` is Python's str.strip: unlike JavaScript's it takes U+001C–U+001F and U+0085, and leaves U+FEFF.
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isPythonSpace(text[start]!)) start += 1;
  while (end > start && isPythonSpace(text[end - 1]!)) end -= 1;
  return text.slice(start, end);
}

function isPythonSpace(unit: string): boolean {
  if (unit === "\uFEFF") return false;
  return unit.trim() === "" || unit === "\u0085" || (unit >= "\u001C" && unit <= "\u001F");
}
