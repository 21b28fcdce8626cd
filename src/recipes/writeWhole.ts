import { readHuggingFace, writeHuggingFace } from "../checkpoints/huggingFace.js";
import { mergeAdapter } from "../checkpoints/merge.js";
import { type OpenModel, storedType } from "../hub/openModel.js";
import type { Adapter } from "../lora/adapter.js";
import { wholeOf } from "../lora/peft.js";

/** Writes a model whose own tensors were trained as a folder, in the type that the base is stored in. */
export async function writeWhole(folder: string, adapter: Adapter, base: OpenModel): Promise<void> {
  const trained = mergeAdapter(readHuggingFace(base.folder), new Map(), wholeOf(adapter));
  await writeHuggingFace(folder, trained, { dtype: storedType(base) });
}
