import type { LossPoint } from "./lossPoints.js";

/** The weight of a point halves with this share of the run's steps. */
const halfWidthShare = 1 / 40;

/**
 * A weighted mean around each of `points`, which are sorted by step and finite:
 *
 *     smooth(i) = Σⱼ wᵢⱼ lossⱼ / Σⱼ wᵢⱼ,   wᵢⱼ = 2^(−|stepᵢ − stepⱼ| / h),   h = (last − first step) / 40
 *
 * It looks both ways, since the run is over: the mean of the past alone, which live displays show,
 * lags behind a falling loss. It takes the distance in steps, so uneven reports need no care. Two
 * passes, one from each end, carry the sums, so the time is linear.
 */
export function smoothLoss(points: readonly LossPoint[]): LossPoint[] {
  const range = (points.at(-1)?.step ?? 0) - (points[0]?.step ?? 0);
  const past = decayingSums(points, range * halfWidthShare);
  const future = decayingSums(points.toReversed(), range * halfWidthShare).reverse();
  return points.map(({ step, loss }, i) => {
    // Both passes count the point itself, with weight 1.
    const sum = past[i]!.sum + future[i]!.sum - loss;
    const weight = past[i]!.weight + future[i]!.weight - 1;
    return { step, loss: sum / weight };
  });
}

interface DecayingSum {
  sum: number;
  weight: number;
}

/** For each point, the weighted sum of the losses up to it, and the sum of their weights. */
function decayingSums(points: readonly LossPoint[], halfWidth: number): DecayingSum[] {
  let last = { step: points[0]?.step ?? 0, sum: 0, weight: 0 };
  return points.map(({ step, loss }) => {
    const distance = Math.abs(step - last.step);
    // When all points share one step, the half-width is 0, and so is every distance.
    const decay = distance === 0 ? 1 : 2 ** (-distance / halfWidth);
    last = { step, sum: loss + decay * last.sum, weight: 1 + decay * last.weight };
    return last;
  });
}
