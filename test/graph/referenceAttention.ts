import type { Attribute } from "../../src/graph/index.js";
import type { Array64 } from "./referenceOperations.js";

/** Attention of each head from all of its scores: the result and, given ∂/∂result, the gradients. */
export function attention(
  [query, keys, values, positions]: readonly Array64[],
  attributes: Readonly<Record<string, Attribute>>,
  resultGradient?: Array64,
): { result: Array64; gradients: Array64[] } {
  const { scale, softCap, window } = attributes as Record<"scale" | "softCap" | "window", number>;
  const [batch, heads, length, width] = query!.shape as [number, number, number, number];
  const keyHeads = keys!.shape[1]!;
  const result = new Float64Array(query!.data.length);
  const [dQuery, dKeys, dValues] = [query!, keys!, values!].map(
    ({ data }) => new Float64Array(data.length),
  ) as [Float64Array, Float64Array, Float64Array];
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const rowOf = (h: number, of: number) => (t: number) => ((b * of + h) * length + t) * width;
      const at = rowOf(head, heads);
      const shared = rowOf(Math.floor((head * keyHeads) / heads), keyHeads);
      for (let i = 0; i < length; i++) {
        const reach = Math.min(positions!.data[b * length + i]!, (window || Infinity) - 1);
        const seen = Array.from({ length: i + 1 }, (_, j) => j).filter((j) => j >= i - reach);
        const sumOver = (f: (d: number) => number) =>
          Array.from({ length: width }, (_, d) => f(d)).reduce((x, y) => x + y, 0);
        const raw = seen.map(
          (j) => scale * sumOver((d) => query!.data[at(i) + d]! * keys!.data[shared(j) + d]!),
        );
        const scores = raw.map((s) => (softCap > 0 ? softCap * Math.tanh(s / softCap) : s));
        const largest = Math.max(...scores);
        const powers = scores.map((s) => Math.exp(s - largest));
        const total = powers.reduce((x, y) => x + y, 0);
        const p = powers.map((power) => power / total);
        seen.forEach((j, n) => {
          for (let d = 0; d < width; d++) {
            result[at(i) + d] = result[at(i) + d]! + p[n]! * values!.data[shared(j) + d]!;
          }
        });
        if (resultGradient === undefined) continue;
        const dResult = (d: number) => resultGradient.data[at(i) + d]!;
        const dp = seen.map((j) => sumOver((d) => dResult(d) * values!.data[shared(j) + d]!));
        const along = dp.reduce((x, slope, n) => x + slope * p[n]!, 0);
        seen.forEach((j, n) => {
          const capped = softCap > 0 ? 1 - (scores[n]! / softCap) ** 2 : 1;
          const ds = p[n]! * (dp[n]! - along) * capped * scale;
          for (let d = 0; d < width; d++) {
            const [q, k] = [at(i) + d, shared(j) + d];
            dQuery[q] = dQuery[q]! + ds * keys!.data[k]!;
            dKeys[k] = dKeys[k]! + ds * query!.data[q]!;
            dValues[k] = dValues[k]! + p[n]! * dResult(d);
          }
        });
      }
    }
  }
  return {
    result: { data: result, shape: query!.shape },
    gradients: [
      { data: dQuery, shape: query!.shape },
      { data: dKeys, shape: keys!.shape },
      { data: dValues, shape: values!.shape },
    ],
  };
}
