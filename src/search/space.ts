import { FacetError } from "../errors.js";
import type { Random } from "../random.js";

/** The values that one option can take: those of a list, or all between two numbers. */
export type Dimension =
  | { readonly values: readonly unknown[] }
  | {
      readonly min: number;
      readonly max: number;
      /** "log": equal ratios are equally likely, and equally far apart in a grid. */
      readonly scale: "linear" | "log";
      /** Whole numbers only. */
      readonly whole: boolean;
      /** How many a grid takes; undefined where none was said. */
      readonly count: number | undefined;
    };

/** Options by name, in the order of the file. */
export type Space = ReadonlyMap<string, Dimension>;

/** A value for each option of a space. */
export type Point = Readonly<Record<string, unknown>>;

/**
 * All combinations, the last option changing fastest. Throws a FacetError for a range that does not say how many values
 * of it to take.
 */
export function grid(space: Space): Point[] {
  let points: Point[] = [{}];
  for (const [name, dimension] of space) {
    const values = gridValues(name, dimension);
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  }
  return points;
}

function gridValues(name: string, dimension: Dimension): readonly unknown[] {
  if ("values" in dimension) return dimension.values;
  const { count } = dimension;
  if (count === undefined) {
    throw new FacetError(
      `A grid needs to know how many values of ${name} to take. Add "count" beside "min" and "max", or give a list.`,
    );
  }
  const at = (i: number) => between(dimension, count === 1 ? 0 : i / (count - 1));
  return [...new Set(Array.from({ length: count }, (_, i) => at(i)))];
}

/** A point of the space: of a list each value is equally likely, of a range each place on its scale. */
export function draw(space: Space, random: Random): Point {
  const drawn: [string, unknown][] = [];
  for (const [name, dimension] of space) {
    if ("values" in dimension) {
      drawn.push([name, dimension.values[random.below(dimension.values.length)]]);
    } else {
      drawn.push([name, drawBetween(dimension, random)]);
    }
  }
  return Object.fromEntries(drawn);
}

type Range = Exclude<Dimension, { values: unknown }>;

function drawBetween(range: Range, random: Random): number {
  const { min, max } = range;
  if (range.whole && range.scale === "linear") return min + random.below(max - min + 1);
  return between(range, random.uniform());
}

/** The place at a share of the range, 0 to 1; numbers are rounded to six digits, which is finer than anybody searches. */
function between({ min, max, scale, whole }: Range, share: number): number {
  const value = scale === "log" ? min * (max / min) ** share : min + share * (max - min);
  if (whole) return Math.min(max, Math.max(min, Math.round(value)));
  return Math.min(max, Math.max(min, Number(value.toPrecision(6))));
}
