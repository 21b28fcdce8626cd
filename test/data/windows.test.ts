import { describe, expect, it } from "vitest";
import { windowBatch, windowCount } from "../../src/data/windows.js";

const stream = { tokens: Uint16Array.of(2, 5, 1, 2, 6, 7, 8, 1, 2, 9), documents: 3, bosId: 2 };

describe("windowBatch", () => {
  it("gives neighbouring windows with shifted targets, and no weight for a start token", () => {
    expect(windowBatch(stream, [2, 0], 3)).toEqual({
      ids: Int32Array.of(8, 1, 2, 2, 5, 1),
      targets: Int32Array.of(1, 2, 9, 5, 1, 2),
      weights: Float32Array.of(1, 0, 1, 1, 1, 0),
      size: 2,
      length: 3,
      targetTokens: 4,
      rows: [2, 0],
    });
  });

  it("counts windows that have a target for each input", () => {
    expect([1, 3, 4, 9, 10].map((length) => windowCount(stream, length))).toEqual([9, 3, 2, 1, 0]);
    expect(windowCount({ ...stream, tokens: new Uint16Array() }, 3)).toBe(0);
  });

  it("refuses a window that is not there, and none at all", () => {
    for (const window of [-1, 0.5, 3]) {
      expect(() => windowBatch(stream, [window], 3)).toThrow(/10 tokens make 3 windows of 3/);
    }
    expect(() => windowCount(stream, 0)).toThrow(/window length must be a whole number from 1/);
    expect(() => windowBatch(stream, [], 3)).toThrow(/at least one window/);
  });
});
