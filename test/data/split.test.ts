import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isForValidation, requireBothSides } from "../../src/data/split.js";
import { rowOf } from "./rowOf.js";

const rows = Array.from({ length: 1000 }, (_, i) => rowOf({ text: `row ${i}` }, i + 1));
/** Rows for training and for validation, as a data set is split. */
function splitRows(all: typeof rows, fraction: number) {
  const forValidation = isForValidation(fraction);
  const validation = all.filter(forValidation);
  const train = all.filter((row) => !forValidation(row));
  requireBothSides(fraction, { train: train.length, validation: validation.length });
  return { train, validation };
}
const texts = (side: typeof rows) => side.map((row) => row.fields.text);

describe("isForValidation", () => {
  it("looks at conversations as at text", () => {
    const chat = (i: number) => ({ ...rowOf({}), nonText: { messages: [{ role: "user", n: i }] } });
    const sides = Array.from({ length: 100 }, (_, i) => isForValidation(0.5)(chat(i)));
    expect(new Set(sides).size).toBe(2);
    const number = { ...rowOf({ text: "a" }), nonText: { id: 7 } };
    expect(isForValidation(0.5)(number)).toBe(isForValidation(0.5)(rowOf({ text: "a" })));
  });

  it("puts each row on one side, in order, about as many as asked for", () => {
    const { train, validation } = splitRows(rows, 0.2);
    expect([...train, ...validation].sort((a, b) => a.line - b.line)).toEqual(rows);
    expect(train.map((row) => row.line)).toEqual(
      train.map((row) => row.line).sort((a, b) => a - b),
    );
    // Four standard deviations: 4 · √(1000 · 0.2 · 0.8) = 51.
    expect(Math.abs(validation.length - 200)).toBeLessThan(51);
  });

  it("a row never changes sides when others come, go or move", () => {
    const validation = new Set(texts(splitRows(rows, 0.3).validation));
    fc.assert(
      fc.property(fc.shuffledSubarray(rows, { minLength: 100 }), (some) => {
        for (const text of texts(splitRows(some, 0.3).validation)) {
          expect(validation.has(text)).toBe(true);
        }
        for (const text of texts(splitRows(some, 0.3).train)) {
          expect(validation.has(text)).toBe(false);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("a larger fraction only moves rows from training to validation", () => {
    const larger = new Set(texts(splitRows(rows, 0.3).validation));
    expect(texts(splitRows(rows, 0.1).validation).every((text) => larger.has(text))).toBe(true);
  });

  it("duplicates share a side, whatever the order of their fields", () => {
    const pairs = rows.flatMap((row, i) => [
      rowOf({ a: row.fields.text!, b: "x" }, 2 * i + 1),
      rowOf({ b: "x", a: row.fields.text! }, 2 * i + 2),
    ]);
    const lines = splitRows(pairs, 0.5).validation.map((row) => row.line);
    expect(lines.length).toBeGreaterThan(100);
    for (const line of lines) expect(lines).toContain(line % 2 === 1 ? line + 1 : line - 1);
  });

  it("without a split all rows are for training", () => {
    expect(splitRows(rows, 0)).toEqual({ train: rows, validation: [] });
  });

  it.each([-0.1, 1, Number.NaN])("refuses the fraction %d", (fraction) => {
    expect(() => splitRows(rows, fraction)).toThrow(/at least 0 and less than 1/);
  });

  it("refuses to leave a side empty", () => {
    expect(() => splitRows(rows.slice(0, 1), 1e-9)).toThrow(/of 1 rows leaves none for validation/);
    expect(() => splitRows(rows.slice(0, 1), 1 - 1e-12)).toThrow(/leaves none for training/);
  });
});
