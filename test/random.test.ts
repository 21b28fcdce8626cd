import { describe, expect, it } from "vitest";
import { createRandom, philox4x32 } from "../src/random.js";

describe("philox4x32", () => {
  // Random123's known answers (tests/kat_vectors, philox4x32 10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("counter %j, key %j", (counter, key, expected) => {
    expect(philox4x32(counter, key)).toEqual(expected);
  });
});

describe("createRandom", () => {
  const from = { seed: 42, stream: "sampling" } as const;
  const draw = (random: ReturnType<typeof createRandom>, count: number) =>
    Array.from({ length: count }, () => random.uint32());

  it("gives the same numbers for the same seed, others for another seed, stream or index", () => {
    const numbers = draw(createRandom(from), 8);
    expect(draw(createRandom(from), 8)).toEqual(numbers);
    for (const other of [{ seed: 43 }, { seed: 42 + 2 ** 32 }, { stream: "init" }, { index: 1 }]) {
      expect(draw(createRandom({ ...from, ...other } as typeof from), 8)).not.toEqual(numbers);
    }
  });

  it.each([0, 1, 3, 4, 7])("continues from a state saved after %d words", (count) => {
    const random = createRandom(from);
    draw(random, count);
    const saved = JSON.parse(JSON.stringify(random.state()));
    expect(draw(createRandom(saved), 9)).toEqual(draw(random, 9));
  });

  it("uniform numbers lie in [0, 1) with the right mean and variance", () => {
    const random = createRandom(from);
    const numbers = Array.from({ length: 20_000 }, () => random.uniform());
    const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
    expect(numbers.every((x) => x >= 0 && x < 1)).toBe(true);
    // Four standard errors: 4 · √(1/12 / 20000) = 0.0082 for the mean.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.0082);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.0022);
  });

  it("below draws every number about equally often", () => {
    const random = createRandom(from);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 14_000; i++) counts[random.below(7)]! += 1;
    // Five standard deviations: 5 · √(14000 · 1/7 · 6/7) = 207.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(207);
  });

  it.each([-1, 1.5, 2 ** 53, Number.NaN])("refuses the seed %d", (seed) => {
    expect(() => createRandom({ ...from, seed })).toThrow(/seed must be a whole number/);
  });

  it("refuses a state of a stream that there is not", () => {
    expect(() => createRandom({ seed: 1, stream: "ordr" as "order" })).toThrow(
      /Did you mean "order"/,
    );
  });
});
