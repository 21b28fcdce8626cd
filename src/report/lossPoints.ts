import { FacetError } from "../errors.js";

/** A loss (nats per token) that was reported at an optimizer step. */
export interface LossPoint {
  step: number;
  loss: number;
}

/** The points that can be drawn, by ascending step, and how many could not. */
export interface DrawablePoints {
  points: LossPoint[];
  undrawable: number;
}

/**
 * Sorts points by step (those of one step keep their order) and sets aside each loss that is NaN,
 * infinite or beyond float32, which has no place on an axis.
 * @throws FacetError when a step is not a whole number of at least 0; `name` says whose.
 */
export function drawablePoints(points: readonly LossPoint[], name: string): DrawablePoints {
  points.forEach(({ step }, index) => {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new FacetError(
        `Point ${index} of the ${name} has the step ${step}. A step is a whole number of at least 0.`,
      );
    }
  });
  const drawable = points.filter(
    // A JSON file holds null where a loss was NaN, and fround would make that 0.
    ({ loss }) => Number.isFinite(loss) && Number.isFinite(Math.fround(loss)),
  );
  return {
    points: drawable.sort((a, b) => a.step - b.step),
    undrawable: points.length - drawable.length,
  };
}

/**
 * `points`, which are sorted by step, in groups by `bins` equal intervals of steps; no group is
 * empty. At most `bins` points are few enough to be drawn singly: each is a group of its own.
 */
export function binPoints(points: readonly LossPoint[], bins: number): LossPoint[][] {
  if (points.length <= bins) return points.map((point) => [point]);
  const first = points[0]!.step;
  const range = Math.max(1, points.at(-1)!.step - first);
  const groups = new Map<number, LossPoint[]>();
  for (const point of points) {
    const bin = Math.min(bins - 1, Math.floor(((point.step - first) / range) * bins));
    const group = groups.get(bin);
    if (group === undefined) groups.set(bin, [point]);
    else group.push(point);
  }
  return [...groups.values()];
}
