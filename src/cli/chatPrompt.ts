import { promptIds } from "../data/encode.js";
import { namedTemplate } from "../data/templates.js";
import type { OpenModel } from "../hub/openModel.js";
import { requireTokenizer } from "../runtime/session.js";
import { type ChatMessage, renderChat } from "../tokenizers/chatTemplate.js";

/** How a message, and perhaps the conversation before it, becomes token ids. */
export interface ChatPrompt {
  /** Whether the model is given the earlier turns too. */
  readonly remembers: boolean;
  ids(history: readonly ChatMessage[], message: string): number[];
}

/** Models that were tuned for chat have Gemma's turns; all others take single instructions. */
export const defaultChatTemplate = (model: OpenModel): string =>
  /instruct|-it$/.test(model.name) ? "gemma-chat" : "tutorial";

/** Throws a FacetError for an unknown template, and for a tokenizer without the markers it needs. */
export function chatPrompt(model: OpenModel, template: string): ChatPrompt {
  const tokenizer = requireTokenizer(model);
  if (template === "gemma-chat") {
    const ids = (history: readonly ChatMessage[], content: string) =>
      renderChat(tokenizer, [...history, { role: "user", content }], { addGenerationPrompt: true })
        .ids;
    ids([], "");
    return { remembers: true, ids };
  }
  const chosen = namedTemplate(template);
  return {
    remembers: false,
    ids: (_, message) =>
      promptIds(
        chosen,
        Object.fromEntries(chosen.fields.map((field) => [field, message])),
        tokenizer,
      ),
  };
}
