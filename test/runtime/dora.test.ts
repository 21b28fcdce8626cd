import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { greedy } from "../../src/generation/samplers.js";
import { input } from "../../src/graph/index.js";
import { openModel } from "../../src/hub/openModel.js";
import type { Adapter } from "../../src/lora/adapter.js";
import { toPeft } from "../../src/lora/peft.js";
import { logitsProgram } from "../../src/models/gemma/programs.js";
import { openSession } from "../../src/runtime/session.js";
import { generateIds } from "../../src/runtime/text.js";
import { type Array64, evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { largestDifference } from "../support/closeness.js";
import { updateOf } from "../support/loraMatrices.js";
import { tinyModelFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const plain = tiny.adapter("all");
const { matrices } = toPeft(plain);

/** The lengths of the rows of a matrix. */
function rowLengths(values: ArrayLike<number>, columns: number): Float64Array {
  const lengths = new Float64Array(values.length / columns);
  for (let i = 0; i < values.length; i++) lengths[Math.floor(i / columns)]! += values[i]! ** 2;
  return lengths.map(Math.sqrt);
}

const magnitudes = new Map(
  [...matrices].map(([path, { inFeatures }]) => {
    const lengths = rowLengths(tiny.weights.tensor(`${path}.weight`).data, inFeatures);
    return [path, Float32Array.from(lengths, (length, i) => length * (1 + 0.3 * Math.sin(i)))];
  }),
);
const dora: Adapter = { ...plain, magnitudes };

/** m ⊙ (W + s·B A) / ‖W + s·B A‖, in float64. */
function merged(path: string): Array64 {
  const { data, shape } = tiny.weights.tensor(`${path}.weight`);
  const lora = matrices.get(path)!;
  const sum = updateOf(lora).map((update, i) => update + data[i]!);
  const lengths = rowLengths(sum, lora.inFeatures);
  const rows = (i: number) => Math.floor(i / lora.inFeatures);
  return {
    data: sum.map((value, i) => (value * magnitudes.get(path)![rows(i)]!) / lengths[rows(i)]!),
    shape,
  };
}

const ids = { data: Int32Array.of(2, 17, 300, 41, 5, 99, 7), shape: [1, 7] };
const positions = { data: Int32Array.from(ids.data.keys()), shape: [1, 7] };
const rows = { data: positions.data, shape: [7] };

describe("a DoRA adapter", () => {
  test("gives the logits of the weights that it stands for, computed in float64", async () => {
    const { tensor, ...rest } = tiny.graph();
    const adapted = (name: string) => magnitudes.has(name.replace(/\.weight$/, ""));
    const program = logitsProgram(
      {
        ...rest,
        tensor: (name) => (adapted(name) ? input(name, tensor(name).shape) : tensor(name)),
      },
      { maxLength: 16 },
    );
    const weights = [...magnitudes.keys()].map((path) => [`${path}.weight`, merged(path)]);
    const wanted = evaluateProgram(program, {
      ...Object.fromEntries(weights),
      ...{ ids: toArray64(ids), positions: toArray64(positions), rows: toArray64(rows) },
    });

    const session = openSession(await openModel(tinyModelFolder()), tiny.engine, dora);
    const executable = await session.logits(7);
    const outputs = await executable.run({ ids, positions, rows, ...session.parameters });
    expect(largestDifference(outputs.logits!.data, wanted.logits!.data)).toBeLessThan(2e-5);
    const without = openSession(session.model, tiny.engine, plain);
    const others = await (await without.logits(7)).run({
      ...{ ids, positions, rows },
      ...without.parameters,
    });
    expect(largestDifference(others.logits!.data, wanted.logits!.data)).toBeGreaterThan(0.1);
    await session.close();
    await without.close();
  });

  test("generates what its logits say", async () => {
    const session = openSession(await openModel(tinyModelFolder()), tiny.engine, dora);
    const added: number[] = [];
    const options = { maxLength: 12, sampler: greedy(), stopIds: [] };
    for await (const [id] of generateIds(session, [[2, 17, 300]], options)) added.push(id!);
    const executable = await session.logits(12);
    for (const [i, id] of added.entries()) {
      const data = Int32Array.from([2, 17, 300, ...added.slice(0, i)]);
      const places = { data: Int32Array.from(data.keys()), shape: [1, data.length] };
      const { logits } = await executable.run({
        ids: { data, shape: places.shape },
        positions: places,
        rows: { data: Int32Array.of(data.length - 1), shape: [1] },
        ...session.parameters,
      });
      const values = logits!.data as Float32Array;
      expect(values.indexOf(values.reduce((a, b) => Math.max(a, b)))).toBe(id);
    }
    expect(added).toHaveLength(9);
    await session.close();
  });

  test("cannot be trained", async () => {
    const session = openSession(await openModel(tinyModelFolder()), tiny.engine, dora);
    await expect(session.training(16, { recompute: false })).rejects.toThrow(FacetError);
  });
});
