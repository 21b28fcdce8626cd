import type { Executable } from "../../src/engines/engine.js";
import type { Parameters } from "../../src/engines/parameters.js";
import { batchOf } from "./batchOf.js";

/**
 * A stand-in for a compiled training step, whose loss is ½ Σ w · ‖p‖² with w the batch's weights and
 * p the parameters; so the gradient is p, times what the weights add up to. `change` may spoil it.
 */
export function quadraticProgram(
  change: (step: number, loss: number, gradient: Float32Array) => number = (_, loss) => loss,
): Executable & { readonly runs: number } {
  let runs = 0;
  return {
    get runs() {
      return runs;
    },
    async run(inputs, into = {}) {
      runs += 1;
      const total = (inputs.weights!.data as Float32Array).reduce((a, b) => a + b, 0);
      let loss = 0;
      for (const [name, { data }] of Object.entries(into)) {
        const p = inputs[name.replace("gradient:", "")]!.data;
        p.forEach((value: number, i: number) => {
          loss += (total * value * value) / 2;
          data[i] = total * value;
        });
        loss = change(runs, loss, data as Float32Array);
      }
      const scalar = (value: number) => ({ data: Float32Array.of(value), shape: [] });
      return { loss: scalar(loss), correct: scalar(total / 2) };
    },
    async close() {},
  };
}

/** One variable `p`. */
export function vector(...values: number[]): Parameters {
  const slots = [{ name: "p", shape: [values.length], offset: 0, length: values.length }];
  return { slots, values: Float32Array.from(values), gradients: new Float32Array(values.length) };
}

/** A batch of one row with this many targets. */
export function rowOf(targets: number) {
  const ids = new Int32Array(targets + 1).fill(3);
  return batchOf(
    ids,
    ids.map(() => 1),
    [1, targets + 1],
  );
}
