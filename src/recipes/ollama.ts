import { basename, join, resolve } from "node:path";
import type { Template } from "../data/templates.js";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import { modelfileText } from "../formats/modelfile.js";
import { ollamaTemplate } from "./ollamaTemplate.js";

/**
 * Writes a folder from which `ollama create <name> -f <folder>/Modelfile` makes a model: the GGUF file that `writeModel`
 * writes, and a Modelfile with the template of training and its stop words. Throws a FacetError, and writes nothing, when
 * the template has no form in Ollama.
 */
export async function writeOllama(
  folder: string,
  template: Template,
  writeModel: (path: string) => void,
): Promise<void> {
  const file = basename(ollamaModel(folder));
  const text = modelfileText({ from: `./${file}`, ...ollamaTemplate(template) });
  await writeFolderAtomic(resolve(folder), (place) => {
    writeModel(join(place, file));
    writeFileAtomic(join(place, "Modelfile"), text);
  });
}

/** The GGUF file in such a folder, called like the folder. */
export function ollamaModel(folder: string): string {
  const name = basename(resolve(folder)).replaceAll(/[^\p{L}\p{N}._-]+/gu, "-");
  return join(resolve(folder), `${name}.gguf`);
}
