import { expect, test } from "vitest";
import { allocateParameters } from "../../src/engines/parameters.js";
import { FacetError } from "../../src/errors.js";

test("variables lie one after the other in flat buffers", () => {
  const { slots, values, gradients } = allocateParameters([
    { name: "a", shape: [2, 3] },
    { name: "b", shape: [] },
    { name: "c", shape: [4] },
  ]);
  expect(slots.map(({ offset, length }) => [offset, length])).toEqual([
    [0, 6],
    [6, 1],
    [7, 4],
  ]);
  expect([values.length, gradients.length]).toEqual([11, 11]);
});

test("more variables than an array can hold are refused", () => {
  const huge = [{ name: "w", shape: [2 ** 30, 2 ** 10] }];
  expect(() => allocateParameters(huge)).toThrow("1,099,511,627,776 variables are more than");
  expect(() => allocateParameters(huge)).toThrow(FacetError);
});
