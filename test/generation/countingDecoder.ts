import type { HostTensor } from "../../src/engines/engine.js";
import type { Decoder } from "../../src/generation/generate.js";

export const vocabularySize = 100;

/** The position of what no query sees. */
export const nowhere = 2 ** 31 - 1;

/**
 * A decoder without a model: the likeliest token after id n is n + 1. Records what it is given; its
 * cache has one layer of one head and holds each position's id, so that it shows what was cached.
 */
export function countingDecoder() {
  const calls: Record<string, number[][]>[] = [];
  const run = async (inputs: Readonly<Record<string, HostTensor>>) => {
    const { ids, rows } = inputs as Record<"ids" | "rows", HostTensor>;
    const [batch, length] = ids.shape as [number, number];
    const positions = byRow(inputs.keyPositions!.data, batch);
    const keys = byRow(inputs["keys.0"]!.data, batch);
    // Places of the cache that no row has a token in.
    const taken =
      keys[0]!.findLastIndex((_, place) => positions.some((p) => p[place] !== nowhere)) + 1;
    calls.push({
      ids: byRow(ids.data, batch),
      positions: byRow(inputs.positions!.data, batch),
      keyPositions: positions.map((row) => [...row.slice(0, taken), ...row.slice(-length)]),
      cached: keys.map((row) => row.slice(0, taken)),
    });
    const logits = new Float32Array(rows.data.length * vocabularySize);
    rows.data.forEach((row, i) => {
      logits[i * vocabularySize + ids.data[row]! + 1] = 1;
    });
    const added = { data: Float32Array.from(ids.data), shape: [batch, 1, length, 1] };
    return {
      logits: { data: logits, shape: [rows.data.length, vocabularySize] },
      "new.keys.0": added,
      "new.values.0": added,
    };
  };
  const decoder: Decoder = {
    program: { run, close: async () => {} },
    numLayers: 1,
    numKeyValueHeads: 1,
    headDim: 1,
    vocabularySize,
    parameters: {},
  };
  return { decoder, calls };
}

function byRow(data: ArrayLike<number>, batch: number): number[][] {
  const width = data.length / batch;
  return Array.from({ length: batch }, (_, b) =>
    Array.from(data).slice(b * width, (b + 1) * width),
  );
}
