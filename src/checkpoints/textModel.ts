import { textTensors } from "../models/gemma/textTensors.js";
import type { Checkpoint } from "./checkpoint.js";

/** The text part of a multimodal model as a model of its own; any other checkpoint as it is. */
export function textModel(checkpoint: Checkpoint): Checkpoint {
  const { textPath, ...config } = checkpoint.config;
  if (textPath === undefined) return checkpoint;
  const alone = textTensors({ ...config, textPath: "model" }, checkpoint.tensors);
  return { ...checkpoint, config, tensors: alone };
}
