import { ropeTable } from "../../graph/index.js";
import type { AttentionView } from "../../nn/attention.js";
import type { GemmaConfig } from "./config.js";

/**
 * How far each layer of a model looks back, and its rotary tables, which layers of one kind share.
 * A window as long as `maxLength`, the longest sequence, hides nothing and is none.
 */
export function layerViews(config: GemmaConfig, maxLength: number): AttentionView[] {
  const { headDim, ropeBase, ropeFactor = 1, slidingWindow } = config;
  const rope = once((base, factor) => ropeTable(maxLength, headDim, base, factor));
  return Array.from({ length: config.numLayers }, (_, layer) => {
    if (!slidingWindow?.layers[layer]) return { rope: rope(ropeBase, ropeFactor) };
    const { length, ropeBase: base } = slidingWindow;
    return { rope: rope(base, 1), ...(length < maxLength && { window: length }) };
  });
}

/** `make`, called only once for the same numbers. */
function once<T>(make: (...numbers: number[]) => T): (...numbers: number[]) => T {
  const made = new Map<string, T>();
  return (...numbers) => {
    const key = numbers.join();
    const known = made.get(key) ?? make(...numbers);
    made.set(key, known);
    return known;
  };
}
