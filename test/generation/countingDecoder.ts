import type { HostTensor } from "../../src/engines/engine.js";
import type { Decoder } from "../../src/generation/generate.js";

export const vocabularySize = 100;

/**
 * A decoder without a model: the likeliest token after id n is n + 1. Records what it is given; its
 * cache has one layer of one head and holds each position's id, so that it shows what was cached.
 */
export function countingDecoder() {
  const calls: Record<string, number[][]>[] = [];
  const run = async (inputs: Readonly<Record<string, HostTensor>>) => {
    const { ids, rows } = inputs as { ids: HostTensor; rows: HostTensor };
    const [batch, length] = ids.shape as [number, number];
    calls.push(
      Object.fromEntries(
        ["ids", "positions", "keyPositions", "keys.0"].map((name) => [
          name,
          byRow(inputs[name]!.data, batch),
        ]),
      ),
    );
    const logits = new Float32Array(rows.data.length * vocabularySize);
    rows.data.forEach((row, i) => {
      logits[i * vocabularySize + ids.data[row]! + 1] = 1;
    });
    const known = byRow(inputs["keys.0"]!.data, batch);
    const grown = byRow(ids.data, batch).map((row, b) => [...known[b]!, ...row]);
    const cache = {
      data: Float32Array.from(grown.flat()),
      shape: [batch, 1, known[0]!.length + length, 1],
    };
    return {
      logits: { data: logits, shape: [rows.data.length, vocabularySize] },
      "new.keys.0": cache,
      "new.values.0": cache,
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
