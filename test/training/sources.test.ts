import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/data/batches.js";
import { evaluationProgram } from "../../src/models/gemma/programs.js";
import { evaluate } from "../../src/training/evaluate.js";
import { evaluationBatches, exampleSource } from "../../src/training/sources.js";
import { tinyExamples } from "../support/tinyExamples.js";
import * as tiny from "../support/tinyGemma.js";

const examples = tinyExamples();
const options = { batchSize: 3, padId: 0, seed: 1, shuffle: true };
const rowsOf = (batches: readonly Batch[]) => batches.flatMap(({ rows }) => rows);

describe("exampleSource", () => {
  const epoch = (source: ReturnType<typeof exampleSource>, number: number) =>
    Array.from({ length: source.stepsPerEpoch }, (_, i) => rowsOf(source.batches(number, i)));

  test("visits every example once an epoch, in another order each time", () => {
    const source = exampleSource(examples, options);
    expect(source.stepsPerEpoch).toBe(3);
    const [first, second] = [epoch(source, 0), epoch(source, 1)];
    expect(first.map((rows) => rows.length)).toEqual([3, 3, 1]);
    for (const rows of [first, second]) expect(rows.flat().sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(first).not.toEqual(second);
  });

  test("gives any step's batch from nothing but its place", () => {
    const all = epoch(exampleSource(examples, options), 4);
    const source = exampleSource(examples, options);
    for (const index of [2, 0, 1]) expect(rowsOf(source.batches(4, index))).toEqual(all[index]);
    expect(epoch(exampleSource(examples, { ...options, seed: 2 }), 4)).not.toEqual(all);
  });

  test("keeps the given order when it is not to shuffle", () => {
    const source = exampleSource(examples, { ...options, shuffle: false });
    expect(epoch(source, 3).flat()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test("puts rows of similar length together when asked, and still visits each once", () => {
    const padding = (source: ReturnType<typeof exampleSource>) => {
      const batches = Array.from({ length: 3 }, (_, i) => source.batches(0, i)).flat();
      expect(rowsOf(batches).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
      const lengths = rowsOf(batches).map((row) => examples[row]!.ids.length - 1);
      const cells = batches.reduce((sum, { size, length }) => sum + size * length, 0);
      return cells - lengths.reduce((a, b) => a + b, 0);
    };
    const mixed = padding(exampleSource(examples, options));
    const grouped = exampleSource(examples, { ...options, groupByLength: true });
    expect(padding(grouped)).toBeLessThan(mixed);
    // Still another order every epoch.
    expect(epoch(grouped, 0)).not.toEqual(epoch(grouped, 1));
  });

  test("cuts a step into micro-batches, each no wider than its longest row", () => {
    const whole = exampleSource(examples, options);
    const source = exampleSource(examples, { ...options, microBatchSize: 2 });
    const parts = source.batches(0, 0);
    expect(parts.map(({ size }) => size)).toEqual([2, 1]);
    expect(rowsOf(parts)).toEqual(rowsOf(whole.batches(0, 0)));
    for (const { rows, length } of parts) {
      expect(length).toBe(Math.max(...rows.map((row) => examples[row]!.ids.length - 1)));
    }
  });
});

describe("evaluation", () => {
  test("goes over every example once, shortest first", () => {
    const batches = [...evaluationBatches(examples, 3, 0)];
    expect(rowsOf(batches).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const lengths = rowsOf(batches).map((row) => examples[row]!.ids.length);
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
  });

  test("counts every target token the same, whatever the batches", async () => {
    const program = await tiny.engine.compile(evaluationProgram(tiny.graph(), { maxLength: 32 }));
    const [one, three, all] = await Promise.all(
      [1, 3, 7].map((size) => evaluate(program, {}, evaluationBatches(examples, size, 0))),
    );
    await program.close();
    const tokens = examples.flatMap(({ isTarget }) => [...isTarget.subarray(1)]);
    expect(one!.target_tokens).toBe(tokens.filter(Boolean).length);
    expect(one!.examples).toBe(7);
    expect(one!.perplexity).toBe(Math.exp(one!.loss));
    for (const other of [three!, all!]) {
      expect(Math.abs(other.loss / one!.loss - 1)).toBeLessThan(1e-6);
      expect(other.accuracy).toBe(one!.accuracy);
    }
  });

  test("gives Transformers' mean loss over the padded batch", async () => {
    const program = await tiny.engine.compile(evaluationProgram(tiny.graph(), { maxLength: 32 }));
    const { loss } = await evaluate(program, {}, [tiny.batch("pad")]);
    await program.close();
    expect(loss).toBeCloseTo(tiny.expected.loss.pad.hf_mean_over_valid_tokens, 5);
  });
});
