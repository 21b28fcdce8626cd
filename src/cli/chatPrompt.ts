import { jinjaSource } from "../data/chooseRowTemplate.js";
import { instructionIds } from "../data/encode.js";
import { usesMessages } from "../data/jinjaRows.js";
import { namedTemplate } from "../data/templates.js";
import { FacetError } from "../errors.js";
import { chatTemplateOf, type OpenModel } from "../hub/openModel.js";
import { requireTokenizer } from "../runtime/session.js";
import { type ChatMessage, chatTemplate } from "../tokenizers/chatTemplate.js";

/** How a message, and perhaps the conversation before it, becomes token ids. */
export interface ChatPrompt {
  /** Whether the model is given the earlier turns too. */
  readonly remembers: boolean;
  ids(history: readonly ChatMessage[], message: string): number[];
}

/** Models that were tuned for chat have a chat template, or at least a name; all others take single instructions. */
export const defaultChatTemplate = ({ name, chatTemplate }: OpenModel): string =>
  chatTemplate !== undefined || /instruct|-it$/.test(name) ? "gemma-chat" : "tutorial";

/**
 * `system` is what the model is told before the conversation.
 * Throws a FacetError for an unknown template, for one that has no place for it, and for a tokenizer without the markers it needs. */
export function chatPrompt(model: OpenModel, template: string, system?: string): ChatPrompt {
  const tokenizer = requireTokenizer(model);
  const source = template === "gemma-chat" ? chatTemplateOf(model) : jinjaSource(template);
  if (source !== undefined) {
    if (!usesMessages(source)) {
      throw new FacetError(
        `The template ${template} is for the fields of a row. A chat needs one that renders messages, or text with {field} in it.`,
      );
    }
    const chat = chatTemplate(source, tokenizer);
    const before: ChatMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
    const ids = (history: readonly ChatMessage[], content: string) =>
      chat.prompt([...before, ...history, { role: "user", content }]);
    ids([], "");
    return { remembers: true, ids };
  }
  if (system !== undefined) {
    throw new FacetError("--system needs a chat template: add --template gemma-chat.");
  }
  const chosen = namedTemplate(template);
  return {
    remembers: false,
    ids: (_, message) => instructionIds(chosen, message, tokenizer),
  };
}
