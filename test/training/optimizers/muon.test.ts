import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../../src/random.js";
import { muon } from "../../../src/training/optimizers/muon.js";
import { orthogonalized } from "../../../src/training/optimizers/newtonSchulz.js";
import { relativeError } from "../../support/closeness.js";
import { expectTrajectory, type Reference, slots } from "./trajectory.js";

/**
 * What five quintic iterations make of a matrix, by its singular values alone: p(σ) = a σ + b σ³ + c σ⁵ acts on each,
 * and the singular vectors stay (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).
 */
function bySingularValues(x: readonly number[], height: number, width: number): number[] {
  const svd = new SingularValueDecomposition(Matrix.from1DArray(height, width, [...x]), {
    autoTranspose: true,
  });
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)) + 1e-7;
  const sigma = svd.diagonal.map((value) => {
    let s = value / norm;
    for (let step = 0; step < 5; step++) s = 3.4445 * s - 4.775 * s ** 3 + 2.0315 * s ** 5;
    return s;
  });
  const u = svd.leftSingularVectors;
  return u.mmul(Matrix.diag(sigma)).mmul(svd.rightSingularVectors.transpose()).to1DArray();
}

const random = (seed: number, length: number) => {
  const { uniform } = createRandom({ seed, stream: "init" });
  return Array.from({ length }, () => uniform() - 0.5);
};

describe("Newton–Schulz", () => {
  test.each([
    [3, 7],
    [7, 3],
    [4, 4],
    [1, 5],
  ])("of a %i × %i matrix acts on its singular values alone", (height, width) => {
    const x = random(height, height * width);
    const result = orthogonalized(Float64Array.from(x), height, width, 5);
    expect(relativeError(result, bySingularValues(x, height, width))).toBeLessThan(1e-10);
  });

  test("brings singular values near 1", () => {
    const result = orthogonalized(Float64Array.from(random(9, 60)), 6, 10, 5);
    const { diagonal } = new SingularValueDecomposition(Matrix.from1DArray(6, 10, [...result]), {
      autoTranspose: true,
    });
    expect(Math.max(...diagonal)).toBeLessThan(1.25);
    expect(Math.min(...diagonal)).toBeGreaterThan(0.6);
  });

  test("of a matrix of zeros is zero", () => {
    expect([...orthogonalized(new Float64Array(6), 2, 3, 5)]).toEqual(new Array(6).fill(0));
  });
});

const adamW = (rate: number, decay: number): ReturnType<Reference> => {
  let [m, v]: [number[], number[]] = [[], []];
  return (p, g, t) => {
    m = g.map((gi, i) => 0.9 * (m[i] ?? 0) + 0.1 * gi);
    v = g.map((gi, i) => 0.999 * (v[i] ?? 0) + 0.001 * gi * gi);
    const alpha = (rate * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t);
    return p.map((x, i) => x * (1 - rate * decay) - (alpha * m[i]!) / (Math.sqrt(v[i]!) + 1e-7));
  };
};

/** Liu et al. 2025 (arXiv:2502.16982), equation 4 with its Nesterov form, for matrices. */
const moonlight =
  (rate: number, decay: number, nesterov: boolean): Reference =>
  (shape) => {
    if (shape.length !== 2) return adamW(rate, decay);
    const [height, width] = shape as [number, number];
    let m: number[] = [];
    return (p, g) => {
      m = g.map((gi, i) => 0.95 * (m[i] ?? 0) + gi);
      const direction = nesterov ? g.map((gi, i) => gi + 0.95 * m[i]!) : m;
      const o = bySingularValues(direction, height, width);
      const scale = 0.2 * Math.sqrt(Math.max(height, width));
      return p.map((x, i) => x - rate * (scale * o[i]! + decay * x));
    };
  };

describe("Muon", () => {
  test.each([
    { nesterov: true, weightDecay: 0.1 },
    { nesterov: false, weightDecay: 0 },
  ])("orthogonalizes matrices and leaves the rest to AdamW: %o", (options) => {
    const reference = moonlight(0.02, options.weightDecay, options.nesterov);
    expectTrajectory(muon(slots, options), 0.02, reference);
  });

  test("leaves embeddings to AdamW, and other matrices when told to", () => {
    const names = ["model.embed_tokens.weight", "head"];
    for (const [name, options] of [
      [names[0]!, {}],
      [names[1]!, { excludes: (name: string) => name === "head" }],
    ] as const) {
      const slot = { name, shape: [2, 2], offset: 0, length: 4 };
      expect([...muon([slot], options).state.keys()]).toEqual([`m/${name}`, `v/${name}`]);
    }
  });

  test("moves a matrix by about Adam's root mean square", () => {
    const slot = { name: "w", shape: [32, 48], offset: 0, length: 1536 };
    const values = new Float32Array(1536);
    muon([slot]).update(values, Float32Array.from(random(3, 1536)), 1);
    const rms = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / 1536);
    expect(rms).toBeGreaterThan(0.13);
    expect(rms).toBeLessThan(0.25);
  });

  test("refuses a momentum that cannot be", () => {
    expect(() => muon(slots, { momentum: -0.1 })).toThrow(/Muon's momentum must be at least 0/);
  });
});
