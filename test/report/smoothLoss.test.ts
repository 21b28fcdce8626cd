import { expect, test } from "vitest";
import { smoothLoss } from "../../src/report/smoothLoss.js";

const noise = (i: number) => Math.sin(i * i);

test("each value is the mean weighted by 2^(-distance / h), h a fortieth of the run", () => {
  const points = [3, 4, 9, 20, 21, 43].map((step, i) => ({ step, loss: 2 + noise(i) }));
  const smooth = smoothLoss(points);
  points.forEach(({ step }, i) => {
    let sum = 0;
    let weight = 0;
    for (const other of points) {
      const w = 2 ** -Math.abs(other.step - step); // h = (43 − 3) / 40 = 1
      sum += w * other.loss;
      weight += w;
    }
    expect(smooth[i]!.step).toBe(step);
    expect(smooth[i]!.loss).toBeCloseTo(sum / weight, 12);
  });
});

test("a constant loss stays what it is", () => {
  const points = Array.from({ length: 500 }, (_, step) => ({ step, loss: 2.5 }));
  for (const { loss } of smoothLoss(points)) expect(loss).toBeCloseTo(2.5, 12);
});

test("a falling line is not lagged behind: away from the ends it is kept", () => {
  const points = Array.from({ length: 401 }, (_, step) => ({ step, loss: 10 - step / 100 }));
  expect(smoothLoss(points)[200]!.loss).toBeCloseTo(8, 3);
});

test("noise is reduced", () => {
  const points = Array.from({ length: 1000 }, (_, i) => ({ step: i, loss: noise(i) }));
  const size = (losses: { loss: number }[]) => Math.max(...losses.map(({ loss }) => loss));
  expect(size(smoothLoss(points))).toBeLessThan(0.5 * size(points));
});

test("one point, none, and several of one step", () => {
  expect(smoothLoss([])).toEqual([]);
  expect(smoothLoss([{ step: 9, loss: 3 }])).toEqual([{ step: 9, loss: 3 }]);
  const twice = [
    { step: 9, loss: 1 },
    { step: 9, loss: 2 },
  ];
  expect(smoothLoss(twice).map(({ loss }) => loss)).toEqual([1.5, 1.5]);
});
