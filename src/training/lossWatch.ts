import { z } from "zod";
import { FacetError } from "../errors.js";

/** Steps whose mean loss is compared, because the loss of a step depends on its rows. */
const window = 20;

/** What a watch remembers; a checkpoint holds it, so that a resumed run stops where the whole one would. */
export const lossWatchState = z.strictObject({
  /** Losses of the last steps, at most `window`. */
  recent: z.array(z.number()),
  /** The lowest mean of `window` steps in a row. */
  lowest: z.number().nullable(),
  /** A loss, and how many steps in a row have had it. */
  same: z.strictObject({ loss: z.number(), steps: z.number() }).nullable(),
});
export type LossWatchState = z.output<typeof lossWatchState>;
export const startOfWatch: LossWatchState = { recent: [], lowest: null, same: null };

export interface LossWatchOptions {
  /** Nats that the mean of 20 steps may be above the lowest such mean; 0 for any. */
  readonly divergence: number;
  /** Steps in a row that may have the same loss; 0 for any. */
  readonly constantSteps: number;
}

/** The state after a step with this loss. */
export function watchLoss(state: LossWatchState, loss: number): LossWatchState {
  const recent = [...state.recent, loss].slice(-window);
  const lowest =
    recent.length < window ? state.lowest : Math.min(mean(recent), state.lowest ?? Infinity);
  const { same } = state;
  const isSame = same !== null && Math.abs(loss - same.loss) <= 1e-6 * Math.abs(same.loss);
  return {
    recent,
    lowest,
    same: isSame ? { loss: same.loss, steps: same.steps + 1 } : { loss, steps: 1 },
  };
}

/** Throws a FacetError with advice when the losses up to `step` show that going on is of no use. */
export function refuseBadLosses(
  { recent, lowest, same }: LossWatchState,
  { divergence, constantSteps }: LossWatchOptions,
  step: number,
): void {
  const now = mean(recent);
  if (divergence > 0 && recent.length === window && now > lowest! + divergence) {
    throw new FacetError(
      `The loss diverges at step ${step}: its mean over ${window} steps is ${now.toFixed(3)}, and was ${lowest!.toFixed(3)} at its lowest. ` +
        "Start again with a lower --learning-rate, with --warmup-steps or with --clip-norm 1; the checkpoints before are kept. " +
        "If your data are so different from part to part, raise --divergence or set it to 0.",
    );
  }
  // What is learned by heart has no loss left that could change.
  if (constantSteps > 0 && same!.steps >= constantSteps && same!.loss > 1e-4) {
    throw new FacetError(
      `The loss has been ${same!.loss.toFixed(6)} for ${same!.steps} steps, up to step ${step}: nothing is learned. ` +
        "Check that --learning-rate is not far too small, that the adapter's --modules and --layers are used, and that the rows differ. " +
        "--constant-steps 0 turns this check off.",
    );
  }
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
