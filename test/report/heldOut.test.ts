import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { type HeldOutScore, heldOutTable } from "../../src/report/heldOut.js";
import { parseMarkup } from "./markup.js";

/** Before, after and difference of each measure. */
function cells(before: HeldOutScore, after: HeldOutScore): string[][] {
  const texts = parseMarkup(heldOutTable(before, after))
    .filter(({ name }) => name === "td")
    .map(({ text }) => text);
  return [texts.slice(0, 3), texts.slice(3, 6), texts.slice(6)];
}

test("loss, perplexity and accuracy, with the difference in words", () => {
  expect(cells({ loss: 4.2113, accuracy: 0.312 }, { loss: 2.1498, accuracy: 0.507 })).toEqual([
    ["4.211", "2.150", "2.061 lower (better)"],
    ["67.44", "8.58", "58.86 lower (better)"],
    ["31.2 %", "50.7 %", "19.5 percentage points higher (better)"],
  ]);
});

test("a model that got worse is said to be worse", () => {
  expect(
    cells({ loss: 2, accuracy: 0.5 }, { loss: 2.5, accuracy: 0.4 }).map((row) => row[2]),
  ).toEqual([
    "0.500 higher (worse)",
    "4.79 higher (worse)",
    "10.0 percentage points lower (worse)",
  ]);
});

test("a difference is that of the numbers as shown", () => {
  // 0.0005 apart, but shown as 2.000 and 2.001.
  expect(cells({ loss: 2.0004, accuracy: 0 }, { loss: 2.0009, accuracy: 0 })[0]).toEqual([
    "2.000",
    "2.001",
    "0.001 higher (worse)",
  ]);
});

test("equal scores, as far as shown, are unchanged", () => {
  const rows = cells({ loss: 2, accuracy: 0.5 }, { loss: 2.0001, accuracy: 0.5001 });
  expect(rows.map((row) => row[2])).toEqual(["unchanged", "unchanged", "unchanged"]);
});

describe("numbers out of the ordinary", () => {
  test("a huge perplexity by its power of ten", () => {
    expect(cells({ loss: 20, accuracy: 0 }, { loss: 2, accuracy: 0 })[1]).toEqual([
      "4.85e+8",
      "7.39",
      "4.85e+8 lower (better)",
    ]);
  });

  test("what is not finite is named, and not compared", () => {
    const rows = cells({ loss: 800, accuracy: 0.1 }, { loss: Number.NaN, accuracy: Number.NaN });
    expect(rows).toEqual([
      ["800.000", "not a number", "cannot be compared"],
      ["infinite", "not a number", "cannot be compared"],
      ["10.0 %", "not a number", "cannot be compared"],
    ]);
  });

  test.each([50.7, -0.1])("an accuracy of %d is refused", (accuracy) => {
    const right = { loss: 2, accuracy: 0.5 };
    expect(() => heldOutTable(right, { loss: 2, accuracy })).toThrow(FacetError);
    expect(() => heldOutTable(right, { loss: 2, accuracy })).toThrow("after training");
    expect(() => heldOutTable({ loss: 2, accuracy }, right)).toThrow("before training");
  });
});
