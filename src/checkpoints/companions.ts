import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { readJsonObject, readStrictJson, readText } from "../formats/strictJson.js";
import { huggingFaceTokenizerFiles } from "../tokenizers/huggingFaceFiles.js";
import type { Checkpoint } from "./checkpoint.js";

/** Files of a Hugging Face folder that say how text goes in and out. */
export const companionNames = [
  "generation_config.json",
  "tokenizer.model",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
];

/** Paths of those that a folder has, by name. */
export const companionsOf = (folder: string): Map<string, string> =>
  new Map(
    companionNames
      .map((name) => [name, join(folder, name)] as const)
      .filter(([, path]) => existsSync(path)),
  );

/** Jinja source of a folder's chat template. Transformers writes it to a file of its own; older versions wrote it into tokenizer_config.json. */
export const readChatTemplate = (folder: string): string | undefined =>
  chatTemplateIn(companionsOf(folder));

function chatTemplateIn(companions: ReadonlyMap<string, string>): string | undefined {
  const own = companions.get("chat_template.jinja");
  if (own !== undefined) return readText(own);
  const config = companions.get("tokenizer_config.json");
  if (config === undefined) return undefined;
  const template = (readStrictJson(config) as { chat_template?: unknown } | null)?.chat_template;
  return typeof template === "string" ? template : undefined;
}

/**
 * Writes the files that say how text goes in and out: as the model's own folder has them, and made from the tokenizer
 * where it has not. A chat template that is not the folder's is put into those that hold one, and its end of a turn
 * into those that say where a text ends.
 */
export function writeCompanions(
  place: string,
  {
    tokenizer,
    chatTemplate,
    companions = new Map(),
  }: Pick<Checkpoint, "tokenizer" | "chatTemplate" | "companions">,
): void {
  if (tokenizer !== undefined) {
    for (const [name, content] of huggingFaceTokenizerFiles(tokenizer, chatTemplate)) {
      writeFileAtomic(join(place, name), content);
    }
  }
  for (const [name, path] of companions) copyFileSync(path, join(place, name));
  if (chatTemplate === undefined || chatTemplate === chatTemplateIn(companions)) return;
  writeFileAtomic(join(place, "chat_template.jinja"), chatTemplate);
  change(join(place, "tokenizer_config.json"), () => ({ chat_template: chatTemplate }));
  const endOfTurn = tokenizer?.pieces.indexOf("<end_of_turn>") ?? -1;
  if (endOfTurn < 0) return;
  change(join(place, "generation_config.json"), ({ eos_token_id: ends }) => ({
    eos_token_id: [...new Set([ends ?? [], endOfTurn].flat())],
  }));
}

/** Replaces fields of a JSON file, where there is one. */
function change(
  path: string,
  fields: (was: Record<string, unknown>) => Record<string, unknown>,
): void {
  if (!existsSync(path)) return;
  const was = readJsonObject(path);
  writeFileAtomic(path, `${JSON.stringify({ ...was, ...fields(was) }, null, 2)}\n`);
}
