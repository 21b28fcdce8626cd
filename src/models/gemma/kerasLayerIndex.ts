import type { GemmaFamily } from "./family.js";

/**
 * The index that a Keras `.lora.h5` file gives a linear layer: its place among the backbone's layers that have weights,
 * as Keras walks them (`_flatten_layers`): depth first, and a layer's own layers from the last made to the first.
 */
export function kerasLayerIndex(
  { norms, headNorms }: GemmaFamily,
  layer: number,
  target: string,
): number {
  const optional = (name: string | undefined) => (name === undefined ? [] : [name]);
  const walk = [
    "block",
    ...["down_proj", "up_proj", "gate_proj"],
    ...optional(norms.postFeedForward),
    ...[norms.preFeedForward, "attention", "o_proj"],
    ...optional(headNorms?.key),
    ...optional(headNorms?.query),
    ...["v_proj", "k_proj", "q_proj"],
    ...optional(norms.postAttention),
    norms.preAttention,
  ];
  // The embedding comes first.
  return 1 + layer * walk.length + walk.indexOf(target);
}
