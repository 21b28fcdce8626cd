import { FacetError } from "../errors.js";
import { toPeft } from "../lora/peft.js";
import type { LinearModule } from "../nn/linear.js";
import type { AdapterFile } from "./adapterFile.js";
import { bindAdapter } from "./bind.js";
import { readGgufAdapter } from "./gguf.js";
import { kerasAdapter } from "./kerasAdapter.js";
import { isMlxAdapter, readMlxAdapter } from "./mlx.js";
import { adapterFolder, readPeft } from "./peft.js";

/**
 * Reads an adapter of any kind: a PEFT or MLX folder, a run folder (its `adapter/`), a folder whose only sub-folder is
 * an adapter, a Keras `.lora.h5` file, or a GGUF adapter. With the `modules` of the base model every matrix has the name
 * of the module that it is for, and its size. Throws a FacetError when it is none of these, is incomplete, or does not
 * fit the model.
 */
export async function readAdapter(
  path: string,
  modules?: readonly LinearModule[],
): Promise<AdapterFile> {
  if (path.endsWith(".h5")) {
    if (modules === undefined) {
      throw new FacetError(
        `${path}: a Keras file does not say which layers it is for. Give the base model too.`,
      );
    }
    return { matrices: toPeft(await kerasAdapter(path, modules)).matrices, baseModel: undefined };
  }
  if (path.endsWith(".gguf")) {
    const file = readGgufAdapter(path);
    return modules === undefined ? file : bindAdapter(file, modules, path);
  }
  const folder = adapterFolder(path);
  if (folder === undefined) {
    throw new FacetError(
      `${path} is no adapter: neither a folder with adapter_config.json, nor a run folder, nor a .lora.h5 or .gguf file.`,
    );
  }
  return isMlxAdapter(folder) ? readMlxAdapter(folder, modules) : readPeft(folder, modules);
}
