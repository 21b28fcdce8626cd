import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const fixture = (path: string) =>
  fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));

/** A folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "facet-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The tiny Gemma 1 of the fixtures as a model folder, with the tokenizer of 512 pieces or without. */
export function tinyModelFolder({ tokenizer = true } = {}): string {
  const folder = temporaryFolder();
  for (const name of ["config.json", "model.safetensors"]) {
    copyFileSync(fixture(`gemma1_tiny/${name}`), join(folder, name));
  }
  if (tokenizer) {
    copyFileSync(fixture("tok512/tokenizer.model"), join(folder, "tokenizer.model"));
  }
  return folder;
}
