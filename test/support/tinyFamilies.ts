import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fixture } from "./modelFolder.js";

/** Constants that the tiny models of the fixtures have otherwise, and for which Keras and GGUF have no place. */
const changes = {
  gemma1_tiny: {},
  gemma2_tiny: { query_pre_attn_scalar: 16 },
  gemma3_tiny: { sliding_window_pattern: 6 },
} as const;

export type TinyFamily = keyof typeof changes;
export const tinyFamilies = Object.keys(changes) as TinyFamily[];

/** Makes `folder` with a tiny model that every layout can hold, and the tokenizer of 512 pieces. */
export function tinyFamilyFolder(name: TinyFamily, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const config = JSON.parse(readFileSync(fixture(`${name}/config.json`), "utf8"));
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...changes[name] }));
  cpSync(fixture(`${name}/model.safetensors`), join(folder, "model.safetensors"));
  cpSync(fixture("tok512/tokenizer.model"), join(folder, "tokenizer.model"));
  return folder;
}
