import { expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { binPoints, drawablePoints } from "../../src/report/lossPoints.js";

test("points are sorted by step; those of one step keep their order", () => {
  const points = [
    { step: 3, loss: 1 },
    { step: 1, loss: 3 },
    { step: 3, loss: 0 },
  ];
  expect(drawablePoints(points, "losses").points).toEqual([
    { step: 1, loss: 3 },
    { step: 3, loss: 1 },
    { step: 3, loss: 0 },
  ]);
  expect(points[0]).toEqual({ step: 3, loss: 1 });
});

test("losses without a place on an axis are set aside and counted", () => {
  // JSON has no NaN: a metrics file read back holds null in its place.
  const read = JSON.parse('{"step":5,"loss":null}') as { step: number; loss: number };
  const losses = [Number.NaN, Number.POSITIVE_INFINITY, 1e300, 2];
  const points = [...losses.map((loss, step) => ({ step, loss })), read];
  expect(drawablePoints(points, "losses")).toEqual({
    points: [{ step: 3, loss: 2 }],
    undrawable: 4,
  });
});

test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("the step %d is refused", (step) => {
  const points = [
    { step: 1, loss: 1 },
    { step, loss: 1 },
  ];
  expect(() => drawablePoints(points, "validation losses")).toThrow(FacetError);
  expect(() => drawablePoints(points, "validation losses")).toThrow(
    `Point 1 of the validation losses has the step ${step}`,
  );
});

test("few points are groups of one", () => {
  const points = [1, 2, 3].map((step) => ({ step, loss: step }));
  expect(binPoints(points, 3)).toEqual(points.map((point) => [point]));
  expect(binPoints([], 3)).toEqual([]);
});

test("many points are grouped by equal intervals of steps, and none is lost", () => {
  const points = Array.from({ length: 1000 }, (_, i) => ({ step: 5001 + i, loss: i }));
  const groups = binPoints(points, 10);
  expect(groups).toHaveLength(10);
  expect(groups.flat()).toEqual(points);
  for (const group of groups) expect(group.length).toBeCloseTo(100, -1);
});

test("intervals without points give no groups", () => {
  const points = [0, 1, 2, 99, 100].map((step) => ({ step, loss: 1 }));
  expect(binPoints(points, 4).map((group) => group.length)).toEqual([3, 2]);
});

test("many points of one step are one group", () => {
  const points = Array.from({ length: 50 }, (_, loss) => ({ step: 7, loss }));
  expect(binPoints(points, 4)).toEqual([points]);
});
