import { ropeTable, type Tensor } from "../../graph/index.js";
import { type AttentionView, causalBias, type Segments } from "../../nn/attention.js";
import type { GemmaConfig } from "./config.js";

/**
 * What each layer of a model may look at, and its rotary tables. Layers that look alike share their
 * tensors, and nothing is made that no layer needs: a window as long as `maxLength`, the longest
 * sequence, hides nothing. queryPositions int32 `[B, T]`, keyPositions int32 `[B, S]`. With segments several
 * sequences share a row, and none sees another.
 */
export function layerViews(
  config: GemmaConfig,
  queryPositions: Tensor,
  keyPositions: Tensor,
  maxLength: number,
  segments?: Segments,
): AttentionView[] {
  const { headDim, ropeBase, ropeFactor = 1, slidingWindow } = config;
  const everything = maxLength;
  const bias = once((window) =>
    causalBias(queryPositions, keyPositions, window < everything ? window : undefined, segments),
  );
  const rope = once((base, factor) => ropeTable(maxLength, headDim, base, factor));
  return Array.from({ length: config.numLayers }, (_, layer) =>
    slidingWindow?.layers[layer]
      ? {
          bias: bias(Math.min(slidingWindow.length, everything)),
          rope: rope(slidingWindow.ropeBase, 1),
        }
      : { bias: bias(everything), rope: rope(ropeBase, ropeFactor) },
  );
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
