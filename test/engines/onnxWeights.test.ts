import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type OnnxEngineOptions, onnxEngine } from "../../src/engines/onnx/engine.js";
import {
  add,
  gatherRows,
  input,
  matmul,
  multiply,
  type Program,
  program,
  symbol,
  type Tensor,
  weight,
} from "../../src/graph/index.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import { temporaryFolder } from "../support/modelFolder.js";
import { anonymousMemory, writeMatrices } from "../support/weightFile.js";

const MiB = 2 ** 20;
const x = input("x", [symbol("R"), 32]);
const values = {
  x: { data: Float32Array.from({ length: 96 }, (_, i) => Math.sin(i)), shape: [3, 32] },
};

async function run(p: Program, options: OnnxEngineOptions, inputs: Parameters<typeof toFeeds>[0]) {
  const executable = await onnxEngine({ threads: 1, ...options }).compile(p);
  const outputs = await executable.run(toFeeds(inputs));
  await executable.close();
  return outputs;
}

const toFeeds = (
  inputs: Record<string, { data: Float32Array | Int32Array; shape: readonly number[] }>,
) => inputs;

/** A product with every matrix in turn, whose size stays about 1. */
const chain = (weights: readonly Tensor[], start: Tensor) =>
  weights.reduce((y, w) => multiply(matmul(y, w, { transposeB: true }), 0.05), start);

describe("weights in files", () => {
  test.each(["F32", "BF16", "F16"] as const)(
    "of type %s are used by products, their transposes and gathers, whatever the options",
    async (dtype) => {
      const { weights } = writeMatrices(temporaryFolder(), {
        dtype,
        count: 2,
        rows: 32,
        columns: 32,
      });
      const [a, b] = weights as [Tensor, Tensor];
      const rows = gatherRows(a, input("i", [2], "int32"));
      const y = add(matmul(matmul(x, a, { transposeB: true }), b), matmul(x, a));
      const p = program({ y, rows });
      const i = { data: Int32Array.of(31, 0), shape: [2] };
      const truth = evaluateProgram(p, { x: toArray64(values.x), i: toArray64(i) });
      for (const prepackWeights of [false, true]) {
        for (const optimization of ["disabled", "all"] as const) {
          const outputs = await run(p, { prepackWeights, optimization }, { ...values, i });
          expect(relativeError(outputs.y!.data, truth.y!.data)).toBeLessThan(1e-6);
          expect(outputs.rows!.data).toEqual(Float32Array.from(truth.rows!.data));
        }
      }
    },
  );

  test("may lie in several files of one folder, in any place of the file", async () => {
    const folder = temporaryFolder();
    const options = { dtype: "F32", count: 1, rows: 32, columns: 32 } as const;
    const first = writeMatrices(folder, { ...options, count: 3, file: "a.safetensors" });
    const second = writeMatrices(folder, {
      ...options,
      dtype: "BF16",
      file: "b.safetensors",
      prefix: "n",
    });
    const y = chain([first.weights[2]!, second.weights[0]!], x);
    const truth = evaluateProgram(program({ y }), { x: toArray64(values.x) });
    const outputs = await run(program({ y }), {}, values);
    expect(relativeError(outputs.y!.data, truth.y!.data)).toBeLessThan(1e-6);
  });

  test("in two folders are refused, and both are named", async () => {
    const folder = temporaryFolder();
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    const options = { dtype: "F32", count: 1, rows: 32, columns: 32 } as const;
    const weights = [one, two].map((place) => {
      mkdirSync(place);
      return writeMatrices(place, options).weights[0]!;
    });
    await expect(onnxEngine().compile(program({ y: chain(weights, x) }))).rejects.toThrow(
      `must lie in one folder, but they are in ${one} and ${two}`,
    );
  });

  test("in a file that is gone are refused with its name", async () => {
    const options = { dtype: "F32", count: 1, rows: 32, columns: 32 } as const;
    const { weights } = writeMatrices(temporaryFolder(), options);
    const region = weights[0]!.node.attributes.region as { file: string };
    const gone = { ...region, file: region.file.replace("weights", "gone") };
    const y = chain([weight("gone", [32, 32], "float32", gone as never)], x);
    await expect(onnxEngine().compile(program({ y }))).rejects.toThrow(/gone\.safetensors/);
  });
});

describe.skipIf(!existsSync("/proc/self/smaps_rollup"))("the memory of weights", () => {
  const wide = input("x", [symbol("R"), 2048]);
  const inputs = { x: { data: new Float32Array(4 * 2048).fill(0.01), shape: [4, 2048] } };
  const grownBy = async (p: Program, options: OnnxEngineOptions) => {
    global.gc?.();
    const before = { ...process.memoryUsage(), anonymous: anonymousMemory() };
    const executable = await onnxEngine({ threads: 1, ...options }).compile(p);
    await executable.run(inputs);
    await executable.run(inputs);
    const after = { ...process.memoryUsage(), anonymous: anonymousMemory() };
    await executable.close();
    return {
      heap: after.heapUsed - before.heapUsed + after.external - before.external,
      anonymous: after.anonymous - before.anonymous,
    };
  };

  test("200 MB of float32 stay in their file: nothing of it in JavaScript, nothing copied", async () => {
    const options = { dtype: "F32", count: 12, rows: 2048, columns: 2048 } as const;
    const p = program({ y: chain(writeMatrices(temporaryFolder(), options).weights, wide) });
    const grown = await grownBy(p, {});
    expect(grown.heap).toBeLessThan(8 * MiB);
    expect(grown.anonymous).toBeLessThan(24 * MiB);
  });

  test.each(["disabled", "all"] as const)(
    "bfloat16 is widened when used, not kept in float32 (optimization %s)",
    async (optimization) => {
      const options = { dtype: "BF16", count: 12, rows: 2048, columns: 2048 } as const;
      const p = program({ y: chain(writeMatrices(temporaryFolder(), options).weights, wide) });
      const grown = await grownBy(p, { optimization });
      // All twelve in float32 would be 192 MiB; one at a time is 16.
      expect(grown.anonymous).toBeLessThan(72 * MiB);
    },
  );
});
