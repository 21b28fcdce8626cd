import type { Parameters } from "../engines/parameters.js";
import { adamW, type Optimizer } from "../training/optimizers.js";

export interface AdamWArguments {
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** Keras's AdamW with Keras's defaults (keras/src/optimizers/adamw.py). */
export class AdamW {
  readonly learningRate: number;
  readonly #options: AdamWArguments;
  #excluded: readonly string[] = [];

  constructor(options: AdamWArguments = {}) {
    this.learningRate = options.learningRate ?? 1e-3;
    this.#options = { weightDecay: 0.004, ...options };
  }

  /** Variables whose path holds one of these names do not decay. */
  excludeFromWeightDecay({ varNames }: { varNames: readonly string[] }): void {
    this.#excluded = varNames;
  }

  /** The optimizer of a set of variables. */
  build(parameters: Parameters): Optimizer {
    const excluded = this.#excluded;
    return adamW(parameters.slots, {
      ...this.#options,
      decays: (name) => !excluded.some((part) => name.includes(part)),
    });
  }
}
