import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { writeHuggingFace } from "../checkpoints/huggingFace.js";
import { readModel } from "../checkpoints/modelFiles.js";
import { cleanTemporaries } from "../formats/atomicFile.js";

/** Changes with what is written, so that a folder of an older Facet is made again. */
const WRITTEN = 2;

/**
 * A folder in Hugging Face's layout with the model of a file, or a Keras preset, whose weights the engine cannot map as they are. It is
 * made once, inside `cache`, with every value as it was (quantised blocks as float32), and found again as long as the
 * files keep their names, sizes and times.
 */
export async function adopt(path: string, cache: string): Promise<string> {
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: "utf8" }).map((name) => join(path, name))
    : [path];
  // To digest all bytes of a model at every start would take too long.
  const facts = JSON.stringify([
    WRITTEN,
    ...files.sort().map((file) => {
      const { size, mtimeMs } = statSync(file);
      return [file, size, mtimeMs];
    }),
  ]);
  const mark = createHash("sha256").update(facts).digest("hex").slice(0, 16);
  const folder = join(cache, `${basename(path).replace(/\.gguf$/, "")}-${mark}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  cleanTemporaries(cache);
  await writeHuggingFace(folder, readModel(path), {});
  return folder;
}
