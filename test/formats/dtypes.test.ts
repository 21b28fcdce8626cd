import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "../../src/formats/dtypes.js";

/** The value of a 16-bit code by the definition of the format, in float64. */
function codeValue(code: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const sign = code >>> 15 ? -1 : 1;
  const exponent = (code >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (code & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** The code nearest to x, ties to the even code, by searching all finite codes of x's sign. */
function nearestCode(x: number, exponentBits: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const infinity = ((2 ** exponentBits - 1) << (15 - exponentBits)) & 0x7fff;
  let low = 0;
  let high = infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (codeValue(middle, exponentBits) <= Math.abs(x)) low = middle;
    else high = middle;
  }
  // What infinity would be, were its exponent an ordinary one: overflow begins halfway to it.
  const above = high === infinity ? 2 ** (2 ** (exponentBits - 1)) : codeValue(high, exponentBits);
  const toLow = Math.abs(x) - codeValue(low, exponentBits);
  const toHigh = above - Math.abs(x);
  if (toLow === toHigh) return sign | (low % 2 === 0 ? low : high);
  return sign | (toLow < toHigh ? low : high);
}

const formats = [
  { name: "bfloat16", exponentBits: 8, widen: bfloat16ToFloat32, narrow: float32ToBfloat16 },
  { name: "float16", exponentBits: 5, widen: float16ToFloat32, narrow: float32ToFloat16 },
];

describe.each(formats)("$name", ({ exponentBits, widen, narrow }) => {
  const codes = Uint16Array.from({ length: 65536 }, (_, code) => code);

  it("widens each of the 65,536 codes to the value its definition gives", () => {
    const values = widen(codes);
    const wrong = [...codes].filter((code) => {
      const expected = codeValue(code, exponentBits);
      return !Object.is(values[code], expected);
    });
    expect(wrong).toEqual([]);
  });

  it("narrows each value back to its code, and NaN to a NaN of the same sign", () => {
    const back = narrow(widen(codes));
    const wrong = [...codes].filter((code) => {
      const isNaNCode = Number.isNaN(codeValue(code, exponentBits));
      if (!isNaNCode) return back[code] !== code;
      return (
        !Number.isNaN(codeValue(back[code]!, exponentBits)) || (back[code]! ^ code) >>> 15 !== 0
      );
    });
    expect(wrong).toEqual([]);
  });

  it("keeps a NaN whose payload lies only in the bits that narrowing drops", () => {
    const nan = new Float32Array(new Uint32Array([0x7f800001, 0xff800001]).buffer);
    const narrowed = [...narrow(nan)];
    expect(narrowed.map((code) => codeValue(code, exponentBits))).toEqual([Number.NaN, Number.NaN]);
    expect(narrowed.map((code) => code >>> 15)).toEqual([0, 1]);
  });

  it("rounds any float32 to the nearest code, ties to even", () => {
    const anyBits = fc.integer({ min: 0, max: 0xffffffff });
    const nearCode = fc
      .tuple(fc.integer({ min: 0, max: 65535 }), fc.integer({ min: -2, max: 2 }), fc.boolean())
      .map(([code, nudge, half]) => {
        const [bits] = new Uint32Array(widen(Uint16Array.of(code)).buffer);
        const halfStep = half ? (exponentBits === 8 ? 0x8000 : 0x1000) : 0;
        return (bits! + halfStep + nudge) >>> 0;
      });
    fc.assert(
      fc.property(fc.oneof(anyBits, nearCode), (bits) => {
        const value = new Float32Array(Uint32Array.of(bits).buffer);
        fc.pre(!Number.isNaN(value[0]!));
        expect(narrow(value)[0]).toBe(nearestCode(value[0]!, exponentBits));
      }),
      { numRuns: 3000 },
    );
  });

  it("rounds halves between subnormals to even and the largest values to infinity", () => {
    const smallest = codeValue(1, exponentBits);
    const infinity = nearestCode(Infinity, exponentBits);
    const largest = codeValue(infinity - 1, exponentBits);
    const step = largest - codeValue(infinity - 2, exponentBits);
    const inputs = new Float32Array([
      smallest * 1.5,
      smallest * 2.5,
      smallest / 2,
      largest + step / 2,
    ]);
    expect([...narrow(inputs)]).toEqual([2, 2, 0, infinity]);
  });

  it("converts a view into the middle of a buffer and writes into a given one", () => {
    const values = new Float32Array([9, 1, -2, 9]).subarray(1, 3);
    const out = new Float32Array(4);
    widen(narrow(values), out.subarray(2));
    expect([...out]).toEqual([0, 0, 1, -2]);
  });
});
