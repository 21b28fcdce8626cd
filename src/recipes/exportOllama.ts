import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AdapterFile } from "../adapters/adapterFile.js";
import { ggufAdapterFileName, writeGgufAdapter } from "../adapters/gguf.js";
import type { Template } from "../data/templates.js";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import { modelfileText } from "../formats/modelfile.js";
import type { FamilyName } from "../models/gemma/family.js";
import { ollamaTemplate } from "./ollamaTemplate.js";

export interface OllamaExport {
  /** What the files are called. */
  readonly name: string;
  /**
   * The model: written into the folder as GGUF by `write`; or, `from`, a GGUF file or model folder that is there, or
   * the name of a model that Ollama has or fetches. An adapter fits only the weights that it was trained on.
   */
  readonly model:
    | { readonly write: (path: string) => void | Promise<void> }
    | { readonly from: string };
  /** Written into the folder; without it the model is used as it is, so it should be a merged one. */
  readonly adapter?: {
    readonly file: AdapterFile;
    readonly family: FamilyName;
    readonly type: "F32" | "F16";
  };
  /** How prompts were rendered in training. */
  readonly template: Template;
}

const MODELFILE = "Modelfile";

/**
 * Writes a folder from which `ollama create <name> -f <folder>/Modelfile` makes a model: the Modelfile, with the
 * template of training and its stop words, and the GGUF files that it names. The folder is made, or replaced as a whole
 * when it holds such files and nothing else. Returns the Modelfile's path.
 * Throws a FacetError, and writes nothing, when the template has no form in Ollama, the adapter none in GGUF, or the
 * folder holds other files.
 */
export async function exportOllama(
  folder: string,
  { name, model, adapter, template }: OllamaExport,
): Promise<string> {
  const root = resolve(folder);
  const plain = name.trim().replaceAll(/[^\p{L}\p{N}._-]+/gu, "-");
  const modelFile = `${plain}.gguf`;
  const adapterFile = adapter && ggufAdapterFileName(plain, adapter.type);
  const text = modelfileText({
    from: "from" in model ? ollamaModel(model.from) : `./${modelFile}`,
    ...(adapterFile !== undefined && { adapter: `./${adapterFile}` }),
    ...ollamaTemplate(template),
  });
  requireOwn(root);
  await writeFolderAtomic(root, async (temporary) => {
    if ("write" in model) await model.write(join(temporary, modelFile));
    if (adapter !== undefined && adapterFile !== undefined) {
      const { file, family, type } = adapter;
      writeGgufAdapter(join(temporary, adapterFile), file, { name, family, type });
    }
    writeFileAtomic(join(temporary, MODELFILE), text);
  });
  return join(root, MODELFILE);
}

/** A path must be absolute, as Ollama takes others from the Modelfile's folder; what is no path is a name. */
function ollamaModel(from: string): string {
  if (existsSync(from)) return resolve(from);
  if (/^[./~\\]|\.gguf$/.test(from)) {
    throw new FacetError(
      `There is no file ${resolve(from)}. Give a GGUF file, or the name of a model in Ollama, such as gemma2:2b.`,
    );
  }
  return from;
}

function requireOwn(root: string): void {
  const names = existsSync(root) ? readdirSync(root) : [];
  const others = names.filter((name) => name !== MODELFILE && !name.endsWith(".gguf"));
  if (others.length === 0 && (names.length === 0 || names.includes(MODELFILE))) return;
  throw new FacetError(
    `Cannot write ${root}: it holds files that are not of an earlier export (${names.slice(0, 5).join(", ")}). Choose a new folder.`,
  );
}
