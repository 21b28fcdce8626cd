import { describe, expect, test } from "vitest";
import { adafactor } from "../../../src/training/optimizers/adafactor.js";
import { expectTrajectory, type Reference, slots } from "./trajectory.js";

const rms = (x: readonly number[]) => Math.sqrt(x.reduce((s, v) => s + v * v, 0) / x.length);

interface Settings {
  readonly rate: number;
  readonly epsilon2: number;
  readonly clip: number;
}

/** Shazeer and Stern 2018 (arXiv:1804.04235), algorithms 4 and 5, with sums as the paper has them. */
const paper =
  ({ rate, epsilon2, clip }: Settings): Reference =>
  (shape) => {
    const [n, m] = shape.length < 2 ? [1, shape[0]!] : [shape.at(-2)!, shape.at(-1)!];
    const matrices = shape.reduce((a, b) => a * b, 1) / (n * m);
    const V = Array.from({ length: matrices }, () => ({
      rows: new Array(n).fill(0),
      columns: new Array(m).fill(0),
      whole: new Array(n * m).fill(0),
    }));
    return (p, g, t) => {
      const beta2 = 1 - t ** -0.8;
      const alpha = Math.max(epsilon2, rms(p)) * Math.min(rate, 1 / Math.sqrt(t));
      const update = g.map((gi, place) => {
        const v = V[Math.floor(place / (n * m))]!;
        const block = g.slice(Math.floor(place / (n * m)) * n * m).slice(0, n * m);
        const squares = block.map((x) => x * x + 1e-30);
        const [i, j] = [Math.floor((place % (n * m)) / m), place % m];
        // Every matrix is updated once, when its first element is met.
        if (place % (n * m) === 0) {
          for (let r = 0; r < n; r++) {
            const sum = squares.slice(r * m, (r + 1) * m).reduce((a, b) => a + b, 0);
            v.rows[r] = beta2 * v.rows[r] + (1 - beta2) * sum;
          }
          for (let c = 0; c < m; c++) {
            const sum = squares.filter((_, k) => k % m === c).reduce((a, b) => a + b, 0);
            v.columns[c] = beta2 * v.columns[c] + (1 - beta2) * sum;
          }
          v.whole = v.whole.map((w, k) => beta2 * w + (1 - beta2) * squares[k]!);
        }
        const total = v.rows.reduce((a, b) => a + b, 0);
        const estimate = shape.length < 2 ? v.whole[j] : (v.rows[i] * v.columns[j]) / total;
        return gi / Math.sqrt(estimate);
      });
      const scale = Math.max(1, rms(update) / clip);
      return p.map((x, i) => x - (alpha * update[i]!) / scale);
    };
  };

describe("Adafactor", () => {
  test.each([
    { rate: 0.05, epsilon2: 1e-3, clip: 1 },
    { rate: 10, epsilon2: 3, clip: 0.3 },
  ])("is the paper's formula, for vectors, matrices and stacks of them: %o", (settings) => {
    const { rate, epsilon2, clip } = settings;
    expectTrajectory(adafactor(slots, { epsilon2, clipThreshold: clip }), rate, paper(settings));
  });

  test("keeps a row and a column of each matrix", () => {
    const { state } = adafactor(slots);
    const shapes = Object.fromEntries([...state].map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual({
      "rows/stack": [2, 3],
      "columns/stack": [2, 4],
      "rows/matrix": [5],
      "columns/matrix": [3],
      "v/bias": [6],
    });
  });

  test("leaves a variable without gradient where it is", () => {
    const values = new Float32Array(45).fill(0.5);
    adafactor(slots).update(values, new Float32Array(45), 0.1);
    expect([...values]).toEqual(new Array(45).fill(0.5));
  });

  test("refuses a decay exponent above 0", () => {
    expect(() => adafactor(slots, { beta2Decay: 0.5 })).toThrow(/Adafactor's negated beta2 decay/);
  });
});
