import { FacetError } from "../errors.js";

/**
 * Cross-entropy of integer targets. Its reduction is Keras's default, "sum over batch size": the
 * weighted sum of token losses divided by rows × sequence length, padding included.
 */
export class SparseCategoricalCrossentropy {
  constructor({ fromLogits = false }: { fromLogits?: boolean } = {}) {
    if (!fromLogits) {
      throw new FacetError(
        "GemmaCausalLM gives logits: use new SparseCategoricalCrossentropy({ fromLogits: true }).",
      );
    }
  }
}

/** Share of targets whose most likely id is right, each counted with its sample weight. */
export class SparseCategoricalAccuracy {
  readonly name: string;

  constructor({ name = "sparse_categorical_accuracy" }: { name?: string } = {}) {
    this.name = name;
  }
}
