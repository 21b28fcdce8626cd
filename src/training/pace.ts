import type { Batch } from "../data/batches.js";
import type { HostTensor } from "../engines/engine.js";
import { computeGradient } from "./gradient.js";
import type { LoopState, TrainOptions } from "./loop.js";

/** Steps that are looked at to know what a step is on average. */
const looks = 16;

const places = (batches: readonly Batch[]) =>
  batches.reduce((sum, { size, length }) => sum + size * length, 0);

/**
 * About how many seconds an optimizer step takes, from one micro-batch that is computed and thrown away, and the sizes
 * of the epoch's steps. It changes nothing but the gradients, which the next step overwrites.
 */
export async function measurePace(
  { program, parameters, source, objective, extraInputs }: TrainOptions,
  { step, epoch, index }: LoopState,
): Promise<number> {
  const [batch] = source.batches(epoch, index) as [Batch];
  const extra = (): Record<string, HostTensor> => extraInputs?.(step, 0, batch) ?? {};
  const began = performance.now();
  await computeGradient(program, parameters, [batch], objective, extra);
  const seconds = (performance.now() - began) / 1000;
  const steps = source.stepsIn(epoch);
  const apart = Math.max(1, Math.floor(steps / looks));
  const looked = Array.from({ length: Math.min(looks, steps) }, (_, i) =>
    places(source.batches(epoch, i * apart)),
  );
  const average = looked.reduce((sum, size) => sum + size, 0) / looked.length;
  return (seconds * average) / places([batch]);
}
