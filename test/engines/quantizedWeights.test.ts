import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { views } from "../../src/engines/parameters.js";
import {
  add,
  gatherRows,
  input,
  matmul,
  multiply,
  program,
  quantizedWeight,
  symbol,
  type Tensor,
  toFloat32,
} from "../../src/graph/index.js";
import { adapterGraph } from "../../src/lora/adapter.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { createRandom } from "../../src/random.js";
import { batchInputs } from "../../src/training/gradient.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import { inMemory, quantizedPair, storedTensors } from "../support/quantized.js";
import { referenceGemma } from "../support/referenceGemma.js";
import { tinyFamilies } from "../support/tinyFamilies.js";
import { anonymousMemory } from "../support/weightFile.js";

const [rows, columns] = [96, 64];
const randomNumbers = (count: number, seed = 1) => {
  const random = createRandom({ seed, stream: "init" });
  return Float32Array.from({ length: count }, () => random.uint32() / 2 ** 31 - 1);
};
const matrices = (folder: string, bits: 8 | 4, count = 2, shape = [rows, columns]) =>
  quantizedPair(
    folder,
    new Map(
      Array.from({ length: count }, (_, i) => [
        `m${i}`,
        inMemory(shape, randomNumbers(shape[0]! * shape[1]!, i + 1)),
      ]),
    ),
    bits,
  );
const x = input("x", [symbol("R"), columns]);
const feeds = {
  x: { data: randomNumbers(5 * columns, 7), shape: [5, columns] },
  i: { data: Int32Array.of(95, 0, 3), shape: [3] },
};

describe.each([8, 4] as const)("weights of %d bits", (bits) => {
  test.each(["disabled", "all"] as const)(
    "are used by products, their transposes, gathers and as they are (optimization %s)",
    async (optimization) => {
      const { quantized } = matrices(temporaryFolder(), bits);
      const [a, b] = [quantized("m0"), quantized("m1")];
      const y = matmul(matmul(x, a, { transposeB: true }), b);
      const rows = gatherRows(a, input("i", [3], "int32"));
      const scaled = matmul(x, multiply(toFloat32(a), 2), { transposeB: true });
      const p = program({ y, rows, scaled });
      const truth = evaluateProgram(p, { x: toArray64(feeds.x), i: toArray64(feeds.i) });
      for (const prepackWeights of [false, true]) {
        const engine = onnxEngine({ threads: 2, optimization, prepackWeights });
        const executable = await engine.compile(p);
        const outputs = await executable.run(feeds);
        await executable.close();
        expect(relativeError(outputs.y!.data, truth.y!.data)).toBeLessThan(5e-7);
        expect(relativeError(outputs.scaled!.data, truth.scaled!.data)).toBeLessThan(5e-7);
        expect(Array.from(outputs.rows!.data, (v) => v + 0)).toEqual(
          Array.from(truth.rows!.data, (v) => v + 0),
        );
      }
    },
  );

  test("multiply integers where a program lets them: every row as if it were alone, within 1 %", async () => {
    const { quantized } = matrices(temporaryFolder(), bits);
    const outputs = { y: matmul(x, quantized("m0"), { transposeB: true }) };
    const truth = evaluateProgram(program(outputs), { x: toArray64(feeds.x) });
    const executable = await onnxEngine({ threads: 2 }).compile(
      program(outputs, { activations: "int8" }),
    );
    const together = (await executable.run({ x: feeds.x })).y!.data as Float32Array;
    expect(relativeError(together, truth.y!.data)).toBeLessThan(1e-2);
    expect(relativeError(together, truth.y!.data)).toBeGreaterThan(1e-5);
    for (let row = 0; row < 5; row++) {
      const data = feeds.x.data.subarray(row * columns, (row + 1) * columns);
      const alone = await executable.run({ x: { data, shape: [1, columns] } });
      expect(
        relativeError(alone.y!.data, together.subarray(row * rows, (row + 1) * rows)),
      ).toBeLessThan(1e-6);
    }
    await executable.close();
  });

  test.each(tinyFamilies)(
    "give the loss and LoRA gradients that their values give in float32: %s",
    async (family) => {
      const reference = referenceGemma(family);
      const tensors = storedTensors(fixture(`${family}/model.safetensors`));
      const { quantized, float32 } = quantizedPair(temporaryFolder(), tensors, bits);
      const adapter = reference.adapter("all");
      const { slots, values } = adapter.parameters;
      const graph = { config: reference.config, ...adapterGraph(adapter) };
      const batch = reference.batch("pad");
      const inputs = { ...batchInputs(batch, batch.targetTokens), ...views(slots, values) };
      const run = async (tensor: (name: string) => Tensor, recompute: boolean) => {
        const p = trainingProgram({ ...graph, tensor }, { maxLength: 32, recompute });
        const executable = await onnxEngine({ threads: 1 }).compile(p);
        const outputs = await executable.run(inputs);
        await executable.close();
        return outputs;
      };
      const truth = await run(float32, false);
      for (const recompute of [false, true]) {
        for (const [name, { data }] of Object.entries(await run(quantized, recompute))) {
          expect(relativeError(data, truth[name]!.data), name).toBeLessThan(1e-6);
        }
      }
    },
  );
});

test("a large weight of 4 bits is multiplied with integers in parts, all of it", async () => {
  const shape = [2 ** 15 + 8, 2048] as const;
  const file = join(temporaryFolder(), "large");
  const blocks = (shape[0] * shape[1]) / 32;
  const random = createRandom({ seed: 3, stream: "init" });
  const bytes = Uint32Array.from({ length: blocks * 4 + 1 }, () => random.uint32());
  const numbers = new Uint8Array(bytes.buffer, 0, blocks * 16);
  const scale = new Uint8Array(new Float32Array(blocks).fill(0.01).buffer);
  writeFileSync(file, Buffer.concat([numbers, scale]));
  const values = { file, offset: 0, byteLength: numbers.length };
  const scales = { file, offset: numbers.length, byteLength: scale.length };
  const large = quantizedWeight("large", shape, "q4", { values, scales });
  const wide = input("x", [1, 2048]);
  const some = gatherRows(large, input("at", [4], "int32"));
  const executable = await onnxEngine({ threads: 2 }).compile(
    program(
      {
        y: matmul(wide, large, { transposeB: true }),
        truth: matmul(wide, some, { transposeB: true }),
      },
      { activations: "int8" },
    ),
  );
  const at = Int32Array.of(0, 2 ** 15 - 1, 2 ** 15, shape[0] - 1);
  const outputs = await executable.run({
    x: { data: randomNumbers(2048), shape: [1, 2048] },
    at: { data: at, shape: [4] },
  });
  await executable.close();
  expect(outputs.y!.shape).toEqual([1, shape[0]]);
  const found = Array.from(at, (row) => outputs.y!.data[row]!);
  expect(relativeError(found, outputs.truth!.data)).toBeLessThan(1e-2);
});

test("rows that are not whole blocks are refused with the weight's name", () => {
  const region = { file: "/nowhere", offset: 0, byteLength: 0 };
  expect(() => quantizedWeight("odd", [4, 33], "q4", { values: region, scales: region })).toThrow(
    "odd: rows of 33 are not whole blocks of 32",
  );
});

test.skipIf(!existsSync("/proc/self/smaps_rollup"))(
  "weights of 4 bits are dequantised when used, not kept in float32",
  async () => {
    const shape = [2048, 2048];
    const { quantized } = matrices(temporaryFolder(), 4, 4, shape);
    const wide = input("x", [symbol("R"), 2048]);
    const start: Tensor = wide;
    const y = Array.from({ length: 4 }, (_, i) => quantized(`m${i}`)).reduce(
      (y, w) => add(multiply(matmul(y, w, { transposeB: true }), 0.05), y),
      start,
    );
    const inputs = { x: { data: new Float32Array(4 * 2048).fill(0.01), shape: [4, 2048] } };
    const before = anonymousMemory();
    const executable = await onnxEngine({ threads: 1 }).compile(program({ y }));
    await executable.run(inputs);
    await executable.run(inputs);
    // All four in float32 would be 64 MiB; one at a time is 16.
    expect(anonymousMemory() - before).toBeLessThan(48 * 2 ** 20);
    await executable.close();
  },
);
