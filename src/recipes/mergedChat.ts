import { createHash } from "node:crypto";
import { jinjaSource } from "../data/chooseRowTemplate.js";
import { usesMessages } from "../data/jinjaRows.js";
import { FacetError } from "../errors.js";
import { chatTemplateOf, type OpenModel } from "../hub/openModel.js";
import type { TrainedTemplate } from "./adapterOrigin.js";

/**
 * The chat template that a model carries into which an adapter is merged, for other tools prompt it by what they find
 * in its files: that of training, where it was one. That is the base's own, or its family's (`gemma-chat`), or one of the
 * user, which must be as it was then. `warnings` says where it is not.
 */
export function mergedChat(
  base: OpenModel,
  trained: TrainedTemplate | undefined,
): { chatTemplate: string | undefined; warnings: string[] } {
  const own = { chatTemplate: base.chatTemplate, warnings: [] };
  if (trained === undefined) return own;
  if (trained.name === "gemma-chat") return { ...own, chatTemplate: chatTemplateOf(base) };
  const source = unchangedSource(trained);
  if (source === undefined) {
    const carries = base.chatTemplate === undefined ? "no chat template" : `that of ${base.name}`;
    return {
      ...own,
      warnings: [
        `The adapter was trained with the template ${trained.name}, which is not there any more as it was: the merged model carries ${carries}. Put the file back and export again, or give other tools the template yourself.`,
      ],
    };
  }
  return source !== "" && usesMessages(source) ? { ...own, chatTemplate: source } : own;
}

/** The Jinja source of training, "" for a template that is none, undefined for one that is gone or another now. */
function unchangedSource({ spec, sha256 }: TrainedTemplate): string | undefined {
  try {
    const source = jinjaSource(spec ?? "") ?? "";
    const digest = createHash("sha256").update(source).digest("hex");
    return source === "" || digest === sha256 ? source : undefined;
  } catch (error) {
    if (error instanceof FacetError) return undefined;
    throw error;
  }
}
