import { join } from "node:path";
import {
  canQuantize,
  type QuantizedBits,
  quantize,
  quantizedBytes,
  quantizedTensor,
} from "../../src/formats/quantizedTensor.js";
import { readSafetensorsHeader, storedTensor } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import type { StoredTensor } from "../../src/formats/storedTensor.js";
import type { Tensor } from "../../src/graph/index.js";
import { type FrozenWeight, frozenWeights } from "../../src/models/gemma/model.js";

/** Tensors in memory, as files give them. */
export const inMemory = (shape: readonly number[], data: Float32Array): StoredTensor => ({
  shape,
  dtype: "F32",
  read: () => [data.slice()],
});

/** The values that a quantised matrix stands for. */
export function dequantized(
  bytes: Uint8Array,
  shape: readonly [number, number],
  bits: QuantizedBits,
): Float32Array {
  const count = shape[0] * shape[1];
  const scales = new Float32Array(Uint8Array.from(bytes.subarray((count * bits) / 8)).buffer);
  return Float32Array.from({ length: count }, (_, i) => {
    const number = bits === 8 ? bytes[i]! - 128 : ((bytes[i >> 1]! >> (4 * (i & 1))) & 15) - 8;
    return number * scales[i >> 5]!;
  });
}

export const joined = (pieces: Iterable<Uint8Array>) => Uint8Array.from(Buffer.concat([...pieces]));

/**
 * A model's weights quantised into one file of the folder, and the values they stand for as float32 in another: matrices
 * without whole blocks, and vectors, are float32 in both.
 */
export function quantizedPair(
  folder: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  bits: QuantizedBits,
): { quantized: (name: string) => Tensor; float32: (name: string) => Tensor } {
  const parts = [...tensors].map(([name, tensor]) => {
    const { shape } = tensor;
    if (!canQuantize(shape)) {
      const data = () => tensor.read();
      const same = { name, dtype: "F32" as const, shape, data };
      return [same, same] as const;
    }
    const bytes = joined(quantize(tensor, bits, name));
    const whole = { name, dtype: "F32" as const, shape, data: dequantized(bytes, shape, bits) };
    const packed = { name, dtype: "U8" as const, shape: [quantizedBytes(shape, bits)] };
    return [{ ...packed, data: bytes }, whole] as const;
  });
  const [small, large] = [join(folder, "small.safetensors"), join(folder, "large.safetensors")];
  writeSafetensors(
    small,
    parts.map(([part]) => part),
  );
  writeSafetensors(
    large,
    parts.map(([, part]) => part),
  );
  const stored = new Map<string, FrozenWeight>();
  for (const [name, info] of readSafetensorsHeader(small).tensors) {
    const { shape } = tensors.get(name)!;
    stored.set(name, canQuantize(shape) ? quantizedTensor(info, shape)! : info);
  }
  return {
    quantized: frozenWeights(stored),
    float32: frozenWeights(readSafetensorsHeader(large).tensors),
  };
}

export const storedTensors = (path: string) =>
  new Map(
    [...readSafetensorsHeader(path).tensors].map(([name, info]) => [name, storedTensor(info)]),
  );
