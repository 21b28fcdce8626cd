/** A held-out loss during training. */
export interface Validation {
  readonly step: number;
  readonly loss: number;
}

/** The best `count` validations, best first; of equal ones the earlier. */
export const bestOf = (validations: readonly Validation[], count: number): readonly Validation[] =>
  [...validations].sort((a, b) => a.loss - b.loss || a.step - b.step).slice(0, count);

/**
 * Whether the last `patience` validations have brought no improvement of more than `minDelta` on the lowest loss before,
 * as Keras's EarlyStopping counts.
 */
export function isExhausted(
  validations: readonly Validation[],
  { patience, minDelta }: { readonly patience: number; readonly minDelta: number },
): boolean {
  let best = Number.POSITIVE_INFINITY;
  let stale = 0;
  for (const { loss } of validations) {
    if (loss < best - minDelta) {
      best = loss;
      stale = 0;
    } else if (++stale >= patience) return true;
  }
  return false;
}

/**
 * Whether a validation is due after a step: every so many steps, or each time that so many epochs, or a fraction of one,
 * are complete. `before` and `after` are places in the data, in epochs.
 */
export function isDue(
  every: { readonly steps?: number | undefined; readonly epochs?: number | undefined },
  { step, before, after }: { step: number; before: number; after: number },
): boolean {
  if (every.steps !== undefined) return step % every.steps === 0;
  if (every.epochs === undefined) return false;
  // Thirds of an epoch are not exact.
  const passed = (place: number) => Math.floor(place / every.epochs! + 1e-9);
  return passed(after) > passed(before);
}
