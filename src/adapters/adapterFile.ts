import type { LoraMatrices } from "../formats/loraMatrices.js";
import type { StoredTensor } from "../formats/storedTensor.js";

/** An adapter as every format can hold it; each format's file beside this one reads and writes it. */
export interface AdapterFile {
  /** By module path in the Hugging Face model, for example `model.layers.0.self_attn.q_proj`. */
  readonly matrices: ReadonlyMap<string, LoraMatrices>;
  /** Tensors of the model that the adapter replaces, by name; most have none. */
  readonly whole?: ReadonlyMap<string, StoredTensor>;
  /** Of a classifier, the classes of `score.weight` among `whole`, in the order of its rows. */
  readonly labels?: readonly string[];
  /** What the file says it was trained on, if it does. */
  readonly baseModel: string | undefined;
}
