/**
 * 16-bit floating-point codes to and from float32. Narrowing rounds to the nearest code, ties to even
 * (IEEE 754-2019, 4.3.1); what is too large becomes an infinity; NaN stays NaN and keeps its sign.
 */

/** bfloat16 codes to float32, exactly. Writes into `out` (same length) when it is given. */
export function bfloat16ToFloat32(
  codes: Uint16Array,
  out: Float32Array = new Float32Array(codes.length),
): Float32Array {
  const bits = bitsOf(out);
  for (let i = 0; i < codes.length; i++) bits[i] = codes[i]! << 16;
  return out;
}

/** float32 to bfloat16 codes. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const codes = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    // A NaN whose payload sits in the lower half would round to infinity: set its quiet bit instead.
    if ((b & 0x7fffffff) > 0x7f800000) codes[i] = (b >>> 16) | 0x40;
    else codes[i] = (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return codes;
}

/** IEEE half-precision codes to float32, exactly. Writes into `out` (same length) when it is given. */
export function float16ToFloat32(
  codes: Uint16Array,
  out: Float32Array = new Float32Array(codes.length),
): Float32Array {
  const bits = bitsOf(out);
  for (let i = 0; i < codes.length; i++) bits[i] = widenHalf(codes[i]!);
  return out;
}

/** float32 to IEEE half-precision codes. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const codes = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) codes[i] = narrowToHalf(bits[i]!);
  return codes;
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function widenHalf(code: number): number {
  const sign = (code & 0x8000) << 16;
  const exponent = (code >>> 10) & 0x1f;
  const fraction = code & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal half, fraction·2⁻²⁴, is a normal float32: its highest bit becomes the implicit one.
  const highest = 31 - Math.clz32(fraction);
  return sign | ((highest + 103) << 23) | ((fraction << (23 - highest)) & 0x7fffff);
}

function narrowToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  // From 65520 on, halfway between the largest half and the next power of two, all is infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // A carry out of the fraction moves into the exponent, which is what rounding up should do.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Up to 2⁻²⁵, half of the smallest subnormal, all is zero (the tie goes to the even code).
  if (magnitude <= 0x33000000) return sign;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >>> 23);
  const half = 2 ** (shift - 1);
  return sign | ((significand + half - 1 + ((significand >>> shift) & 1)) >>> shift);
}
