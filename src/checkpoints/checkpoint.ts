import type { StoredTensor } from "../formats/storedTensor.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import type { TokenizerModel } from "../tokenizers/tokenizerModel.js";

/**
 * A whole model as every format can hold it. Each format's file beside this one reads it into this
 * form and writes it from this form, so that any of them converts to any other.
 */
export interface Checkpoint {
  /** What the files call the model, or the name of their folder. */
  readonly name: string;
  readonly config: GemmaConfig;
  /** Under Hugging Face's names and in its layout: exactly those of `gemmaWeightSpecs(config)`. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Undefined for a model without one. */
  readonly tokenizer: TokenizerModel | undefined;
  /** Jinja source of the chat template, where the files have one. */
  readonly chatTemplate: string | undefined;
  /**
   * Quantised types of GGUF that the weights were in before: the values are what was left of them. Hugging Face's layout
   * keeps this in config.json; the others have no place for it.
   */
  readonly quantised?: readonly string[];
  /**
   * Files of a Hugging Face folder that say how text goes in and out (tokenizer.json, generation_config.json
   * and so on), by name: another such folder gets them as they are. Other formats do not have them.
   */
  readonly companions?: ReadonlyMap<string, string>;
}
