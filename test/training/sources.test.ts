import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/data/batches.js";
import type { Example } from "../../src/data/examples.js";
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
    Array.from({ length: source.stepsIn(number) }, (_, i) => rowsOf(source.batches(number, i)));

  test("visits every example once an epoch, in another order each time", () => {
    const source = exampleSource(examples, options);
    expect(source.stepsIn(0)).toBe(3);
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

  /** Rows of 2 to 200 tokens, most of them short. */
  const many = (count: number) =>
    Array.from({ length: count }, (_, i): Example => {
      const ids = new Int32Array(2 + Math.floor(198 * ((i * 0.618) % 1) ** 3)).fill(5);
      return { ids, isTarget: new Uint8Array(ids.length).fill(1), line: i + 1, truncated: 0 };
    });

  test("by length: any epoch visits each row once, in whole batches but for the last", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(100),
        (count, batchSize, number) => {
          const source = () =>
            exampleSource(many(count), { ...options, batchSize, groupByLength: true });
          const steps = epoch(source(), number);
          expect(steps.flat().sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
          const rest = count % batchSize || batchSize;
          const sizes = steps.map((rows) => rows.length);
          expect(sizes).toEqual([...Array(steps.length - 1).fill(batchSize), rest]);
          // As a run that is resumed in the middle of an epoch asks for them.
          const middle = Math.floor(steps.length / 2);
          const resumed = source();
          for (let i = middle; i < steps.length; i++) {
            expect(rowsOf(resumed.batches(number, i))).toEqual(steps[i]);
          }
        },
      ),
      { numRuns: 40, seed: 4 },
    );
  });

  test("by length: pads little, and the batches themselves come in no order of length", () => {
    const rows = many(500);
    const lengths = (groupByLength: boolean) => {
      const source = exampleSource(rows, { ...options, batchSize: 8, groupByLength });
      return epoch(source, 2).map((batch) => batch.map((row) => rows[row]!.ids.length));
    };
    const padding = (batches: number[][]) =>
      batches.flatMap((batch) => batch.map((n) => Math.max(...batch) - n)).reduce((a, b) => a + b);
    const [mixed, grouped] = [lengths(false), lengths(true)];
    expect(padding(grouped)).toBeLessThan(padding(mixed) / 10);
    // Of random longest rows about half are longer than the ones before.
    const longest = grouped.map((batch) => Math.max(...batch));
    const rises = longest.slice(1).filter((n, i) => n > longest[i]!).length;
    expect(rises).toBeGreaterThan(20);
    expect(rises).toBeLessThan(42);
  });

  test("packs: any epoch holds each example once, and any step is given from its place alone", () => {
    const rows = many(200);
    const packing = { ...options, batchSize: 4, packTo: 256 };
    const steps = epoch(exampleSource(rows, packing), 3);
    expect(steps.flat().sort((a, b) => a - b)).toEqual([...Array(200).keys()]);
    const resumed = exampleSource(rows, { ...packing, microBatchSize: 3 });
    expect(resumed.batches(3, 1).map(({ size }) => size)).toEqual([3, 1]);
    for (const index of [1, 0, steps.length - 1]) {
      expect(rowsOf(resumed.batches(3, index))).toEqual(steps[index]);
    }
    const batches = steps.flatMap((_, i) => resumed.batches(3, i));
    for (const { length } of batches) expect(length).toBeLessThanOrEqual(256);
    // Little is left empty: 200 rows of 51 tokens on average.
    const inputs = rows.reduce((sum, { ids }) => sum + ids.length - 1, 0);
    const places = batches.reduce((sum, { size }) => sum + 256 * size, 0);
    expect(inputs / places).toBeGreaterThan(0.9);
  });

  test("mixes data sets by weight, packed or not", () => {
    const mix = { counts: [5, 2], weights: [1, 1] };
    for (const packTo of [undefined, 64]) {
      const source = exampleSource(examples, { ...options, mix, packTo });
      const visits = epoch(source, 0).flat();
      expect(visits.filter((row) => row >= 5)).toHaveLength(3);
      expect(visits).toHaveLength(7);
    }
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
