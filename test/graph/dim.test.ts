import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addDims,
  broadcastShapes,
  type Dim,
  elementCount,
  evaluateDim,
  formatDim,
  formatShape,
  multiplyDims,
  sameDim,
  sameShape,
  symbol,
} from "../../src/graph/index.js";

const names = ["B", "T", "P"];
const leaf: fc.Arbitrary<Dim> = fc.oneof(
  fc.integer({ min: -3, max: 5 }),
  fc.constantFrom(...names).map(symbol),
);
/** Random polynomials in B, T and P. */
const { dim } = fc.letrec<{ dim: Dim }>((tie) => ({
  dim: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => addDims(a, b)),
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => multiplyDims(a, b)),
  ),
}));
const bindings = fc.record(
  Object.fromEntries(names.map((n) => [n, fc.integer({ min: 0, max: 9 })])),
);

const property = (check: (a: Dim, b: Dim, c: Dim, at: Record<string, number>) => void) =>
  fc.assert(fc.property(dim, dim, dim, bindings, check), { numRuns: 300 });

describe("dimensions are polynomials", () => {
  test("evaluation is a homomorphism: it commutes with sums and products", () => {
    property((a, b, _c, at) => {
      const [x, y] = [evaluateDim(a, at), evaluateDim(b, at)];
      expect(evaluateDim(addDims(a, b), at)).toBe(x + y + 0);
      expect(evaluateDim(multiplyDims(a, b), at)).toBe(x * y + 0);
    });
  });

  test("sums and products commute, associate and distribute, and equal ones are recognised", () => {
    property((a, b, c) => {
      const same = (x: Dim, y: Dim) =>
        expect(sameDim(x, y), `${formatDim(x)} = ${formatDim(y)}`).toBe(true);
      same(addDims(a, b), addDims(b, a));
      same(multiplyDims(a, b), multiplyDims(b, a));
      same(addDims(addDims(a, b), c), addDims(a, addDims(b, c)));
      same(multiplyDims(multiplyDims(a, b), c), multiplyDims(a, multiplyDims(b, c)));
      same(multiplyDims(a, addDims(b, c)), addDims(multiplyDims(a, b), multiplyDims(a, c)));
      same(addDims(a, multiplyDims(-1, a)), 0);
      same(multiplyDims(a, 1), a);
      same(multiplyDims(a, 0), 0);
    });
  });

  test("dimensions that are recognised as equal have equal values", () => {
    property((a, b, _c, at) => {
      if (sameDim(a, b)) expect(evaluateDim(a, at)).toBe(evaluateDim(b, at));
    });
  });

  test("different polynomials are different, also when one is a number", () => {
    const [B, T] = [symbol("B"), symbol("T")];
    expect(sameDim(B, T)).toBe(false);
    expect(sameDim(B, 4)).toBe(false);
    expect(sameDim(4, B)).toBe(false);
    expect(sameDim(multiplyDims(B, T), addDims(B, T))).toBe(false);
    expect(sameDim(addDims(B, 1), B)).toBe(false);
    expect(sameShape([B, 2], [B, 2])).toBe(true);
    expect(sameShape([B, 2], [B, 2, 1])).toBe(false);
  });

  test("they are written so that a reader knows them", () => {
    const [B, T, P] = ["B", "T", "P"].map(symbol) as [Dim, Dim, Dim];
    expect(formatShape([B, multiplyDims(T, 4), addDims(P, T), 7])).toBe("[B, 4*T, P+T, 7]");
    expect(formatDim(multiplyDims(T, multiplyDims(B, T)))).toBe("B*T*T");
  });

  test("elementCount is the product, 1 for a scalar", () => {
    expect(elementCount([])).toBe(1);
    expect(formatDim(elementCount([symbol("B"), 2, symbol("T"), 3]))).toBe("6*B*T");
  });

  test("a symbol without a value is named", () => {
    expect(() => evaluateDim(multiplyDims(symbol("B"), symbol("T")), { B: 2 })).toThrow(
      "dimension T is not bound in this run",
    );
  });
});

describe("broadcasting", () => {
  test("aligns shapes at the end and stretches ones", () => {
    const B = symbol("B");
    expect(broadcastShapes([B, 1, 3], [2, 1])).toEqual([B, 2, 3]);
    expect(broadcastShapes([], [4])).toEqual([4]);
    expect(broadcastShapes([1], [B])).toEqual([B]);
  });

  test("a symbol is not taken for 1, nor for a number: shapes must agree in every run", () => {
    expect(() => broadcastShapes([symbol("B"), 2], [symbol("T"), 2])).toThrow(
      "shapes [B, 2] and [T, 2] do not broadcast",
    );
    expect(() => broadcastShapes([symbol("B")], [3])).toThrow("do not broadcast");
    expect(() => broadcastShapes([2], [3])).toThrow("shapes [2] and [3] do not broadcast");
  });
});
