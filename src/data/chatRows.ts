import { FacetError } from "../errors.js";
import type { ChatMessage, ChatTemplate } from "../tokenizers/chatTemplate.js";
import type { Segment } from "../tokenizers/segments.js";
import type { Row } from "./rows.js";
import type { RowTemplate } from "./rowTemplate.js";

const isModel = ({ role }: ChatMessage) => role === "assistant" || role === "model";

/**
 * Rows that are conversations, or are read as such by `messagesOf`, through a chat template. What comes after the last
 * turn of the model is left out, unless all text is a target: nothing there is to be learned, and the end token follows
 * what the model says. A conversation that the template refuses, for example for two turns of the user, is none.
 */
export function chatRows(
  { name, source, fields }: Pick<RowTemplate, "name" | "source" | "fields">,
  template: ChatTemplate,
  messagesOf: (row: Row) => readonly ChatMessage[] | undefined,
): RowTemplate {
  return {
    ...{ name, source, fields },
    segments(row, targets) {
      const all = messagesOf(row);
      if (all === undefined) return "missing field";
      const last = all.findLastIndex(isModel);
      if (targets !== "all" && last < 0) return "no turn of the model";
      if (all[last]?.content.trim() === "") return "empty response";
      const messages = targets === "all" ? all : all.slice(0, last + 1);
      const segments = refused(() => template.segments(messages, { addGenerationPrompt: false }));
      if (segments === undefined) return "refused by the template";
      if (targets === "all") return segments.map((segment) => ({ ...segment, target: true }));
      return targets === "completion" ? lastRun(segments) : segments;
    },
    promptFor: (content) =>
      template
        .segments([{ role: "user", content }], { addGenerationPrompt: true })
        .map((segment) => ({ ...segment, target: false })),
  };
}

function refused<T>(render: () => T): T | undefined {
  try {
    return render();
  } catch (error) {
    if (error instanceof FacetError) return undefined;
    throw error;
  }
}

/** The segments with only the last run of targets left as such: the last turn of the model. */
function lastRun(segments: readonly Segment[]): Segment[] {
  const end = segments.findLastIndex(({ target }) => target);
  const before = segments.findLastIndex(({ target }, i) => i < end && !target);
  return segments.map((segment, i) => ({ ...segment, target: i > before && i <= end }));
}
