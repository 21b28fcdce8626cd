import type { Example } from "../../src/data/examples.js";
import { truth } from "./tinyGemma.js";

/**
 * Examples of 6 to 20 tokens from the fixtures' ids, the first few of which are no targets.
 * There are 7, which no batch size but 1 and 7 divides.
 */
export function tinyExamples(): Example[] {
  const rows = ["nopad", "pad", "nopad2"].flatMap((name) => {
    const { data, shape } = truth.tensor(`${name}/input_ids`);
    const [size, length] = shape as [number, number];
    return Array.from({ length: size }, (_, row) =>
      Int32Array.from(data.subarray(row * length, (row + 1) * length)),
    );
  });
  return rows.map((all, line) => {
    const padding = all.indexOf(0);
    const ids = all.subarray(0, padding > 0 ? padding : 6 + 2 * line);
    const isTarget = Uint8Array.from(ids, (_, i) => Number(i > line % 4));
    return { ids, isTarget, line: line + 1, truncated: 0 };
  });
}
