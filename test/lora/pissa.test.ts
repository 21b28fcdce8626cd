import { Matrix, QrDecomposition, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { writePeft } from "../../src/adapters/peft.js";
import { views } from "../../src/engines/parameters.js";
import { storedTensor } from "../../src/formats/safetensors.js";
import { changesNothing, createAdapter, startInputs } from "../../src/lora/adapter.js";
import { openProducts } from "../../src/lora/denseProducts.js";
import { matricesOf, toPeft } from "../../src/lora/peft.js";
import { startPissa } from "../../src/lora/pissa.js";
import { loraConfigOf } from "../../src/lora/settings.js";
import { logitsProgram } from "../../src/models/gemma/programs.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { updateOf } from "../support/loraMatrices.js";
import { temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const settings = {
  rank: 4,
  alpha: 6,
  rslora: true,
  rankPattern: ["v_proj=3"],
  modules: ["q_proj", "v_proj", "up_proj"],
  layout: "standard",
  start: "pissa",
} as const;

type Weight = Parameters<typeof startPissa>[1];
const ownWeight: Weight = (path) => storedTensor(tiny.weights.tensors.get(`${path}.weight`)!);

async function started(weight = ownWeight) {
  const adapter = createAdapter(loraConfigOf(settings, tiny.modules), tiny.modules, 0);
  const products = await openProducts(tiny.engine);
  const result = await startPissa(adapter, weight, products);
  await products.close();
  return result;
}

/** A weight whose singular values are 1, 1/4, 1/16 and so on, as far apart as those of trained layers. */
function decayingWeight(rows: number, columns: number): Matrix {
  const wave = (size: number, rank: number) =>
    Matrix.from1DArray(
      size,
      rank,
      [...Array(size * rank).keys()].map((i) => Math.sin(1 + i * i)),
    );
  const orthonormal = (m: Matrix) => new QrDecomposition(m).orthogonalMatrix;
  const values = [...Array(8).keys()].map((i) => 4 ** -i);
  const left = orthonormal(wave(rows, 8)).mmul(Matrix.diag(values));
  return left.mmul(orthonormal(wave(columns, 8)).transpose());
}

/** Logits of a row of ids. */
async function logits(adapter?: Awaited<ReturnType<typeof started>>) {
  const executable = await tiny.engine.compile(
    logitsProgram(tiny.graph(adapter), { maxLength: 16 }),
  );
  const ids = Int32Array.of(2, 17, 300, 41, 5, 99, 7);
  const positions = Int32Array.from(ids.keys());
  const { slots, values } = adapter?.parameters ?? { slots: [], values: new Float32Array() };
  const outputs = await executable.run({
    ids: { data: ids, shape: [1, 7] },
    positions: { data: positions, shape: [1, 7] },
    rows: { data: positions, shape: [7] },
    ...views(slots, values),
    ...(adapter && startInputs(adapter)),
  });
  await executable.close();
  return outputs.logits!.data as Float32Array;
}

describe("PiSSA (Meng et al. 2024, arXiv:2404.02948)", () => {
  test("starts with B A the best approximation of the weight, and equal parts in A and B", async () => {
    const weights = new Map(
      tiny.modules.map(({ path, inFeatures, outFeatures }) => [
        path,
        decayingWeight(outFeatures, inFeatures),
      ]),
    );
    const { start: _, ...adapter } = await started((path) => ({
      shape: [weights.get(path)!.rows, weights.get(path)!.columns],
      dtype: "F32",
      read: () => [Float32Array.from(weights.get(path)!.to1DArray())],
    }));
    for (const [path, { a, b, scale, ...lora }] of matricesOf(adapter)) {
      expect(lora.rank).toBe(path.endsWith("v_proj") ? 3 : 4);
      const update = updateOf({ a, b, scale, ...lora });
      const svd = new SingularValueDecomposition(weights.get(path)!, { autoTranspose: true });
      const cut = (m: Matrix) => m.subMatrix(0, m.rows - 1, 0, lora.rank - 1);
      const best = cut(svd.leftSingularVectors)
        .mmul(Matrix.diag(svd.diagonal.slice(0, lora.rank)))
        .mmul(cut(svd.rightSingularVectors).transpose());
      expect(relativeError(update, best.to1DArray())).toBeLessThan(1e-5);
      expect(Math.hypot(...a) / Math.hypot(...b)).toBeCloseTo(1, 4);
    }
  });

  test("changes nothing at the start, though neither A nor B is zero", async () => {
    const adapter = await started();
    expect(changesNothing(adapter)).toBe(true);
    expect(adapter.parameters.values.every((value) => value !== 0)).toBe(true);
    expect(largestDifference(await logits(adapter), await logits())).toBeLessThan(2e-5);
    adapter.parameters.values[0] = 7;
    expect(changesNothing(adapter)).toBe(false);
  });

  test("is exported as an adapter of twice the rank for the unchanged weights", async () => {
    const adapter = await started();
    const { values } = adapter.parameters;
    values.forEach((value, i) => {
      values[i] = value * (1 + 0.3 * Math.sin(i));
    });
    const folder = `${temporaryFolder()}/adapter`;
    const { rank, matrices } = toPeft(adapter);
    expect(rank).toBe(8);
    await writePeft(folder, { matrices, baseModel: "base" }, tiny.modules);
    const loaded = await loadAdapter(folder, tiny.modules);
    const [mine, theirs, base] = [await logits(adapter), await logits(loaded), await logits()];
    expect(largestDifference(mine, theirs)).toBeLessThan(5e-5);
    expect(largestDifference(mine, base)).toBeGreaterThan(0.1);
  });
});
