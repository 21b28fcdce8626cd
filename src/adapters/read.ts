import { existsSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { toPeft, wholeOf } from "../lora/peft.js";
import type { LinearModule } from "../nn/linear.js";
import type { AdapterFile } from "./adapterFile.js";
import { bindAdapter } from "./bind.js";
import { readGgufAdapter } from "./gguf.js";
import { readKerasAdapter } from "./keras.js";
import { isMlxAdapter, readMlxAdapter } from "./mlx.js";
import { adapterFolder, readPeft } from "./peft.js";
import { isRunCheckpoint, runCheckpointAdapter } from "./runCheckpoint.js";

/**
 * Reads an adapter of any kind: a PEFT or MLX folder, a run folder (its `adapter/`), a folder whose only sub-folder is
 * an adapter, a checkpoint of a run, a Keras `.lora.h5` file, or a GGUF adapter. With the `modules` of the base model every matrix has the name
 * of the module that it is for, and its size. Throws a FacetError when it is none of these, is incomplete, or does not
 * fit the model.
 */
export async function readAdapter(
  path: string,
  modules?: readonly LinearModule[],
): Promise<AdapterFile> {
  if (path.endsWith(".h5") || isRunCheckpoint(path)) {
    if (modules === undefined) {
      throw new FacetError(
        `${path} does not say how large the layers are that it is for. Give the base model too.`,
      );
    }
    const adapter = path.endsWith(".h5")
      ? readKerasAdapter(path, modules)
      : runCheckpointAdapter(path, modules);
    const whole = adapter.whole && wholeOf(adapter);
    return {
      matrices: toPeft(adapter).matrices,
      baseModel: undefined,
      ...(whole && { whole }),
      ...(adapter.labels && { labels: adapter.labels }),
    };
  }
  if (path.endsWith(".gguf")) {
    const file = readGgufAdapter(path);
    return modules === undefined ? file : bindAdapter(file, modules, path);
  }
  const folder = adapterFolder(path);
  if (folder === undefined) {
    if (existsSync(join(path, "model", "config.json"))) {
      throw new FacetError(
        `The run ${path} trained all weights, so it has a model and no adapter. Use it with --model ${join(path, "model")}.`,
      );
    }
    if (existsSync(join(path, "run.json"))) {
      throw new FacetError(
        `The run ${path} has not finished, so it has no adapter yet. Continue it with facet finetune --resume, or name one of its checkpoints.`,
      );
    }
    throw new FacetError(
      `${path} is no adapter: neither a folder with adapter_config.json, nor a run folder, nor a .lora.h5 or .gguf file.`,
    );
  }
  return isMlxAdapter(folder) ? readMlxAdapter(folder, modules) : readPeft(folder, modules);
}
