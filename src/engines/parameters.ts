import { FacetError } from "../errors.js";
import type { HostTensor } from "./engine.js";

/** One variable inside the flat buffers. */
export interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/**
 * All trainable variables in one flat float32 buffer, and their gradients in another. The engine
 * reads and writes views of them, so no step copies a parameter.
 */
export interface Parameters {
  readonly slots: readonly Slot[];
  readonly values: Float32Array;
  readonly gradients: Float32Array;
}

export function allocateParameters(
  variables: Iterable<{ readonly name: string; readonly shape: readonly number[] }>,
): Parameters {
  const slots: Slot[] = [];
  let size = 0;
  for (const { name, shape } of variables) {
    const length = shape.reduce((a, b) => a * b, 1);
    slots.push({ name, shape, offset: size, length });
    size += length;
  }
  return { slots, values: zeros(size), gradients: zeros(size) };
}

function zeros(size: number): Float32Array {
  try {
    return new Float32Array(size);
  } catch (error) {
    throw new FacetError(
      `${size.toLocaleString("en")} variables are more than one array can hold here. Train fewer of them.`,
      { cause: error },
    );
  }
}

/** A view of each variable in a flat buffer of this layout, by name. */
export function views(
  slots: readonly Slot[],
  buffer: Float32Array,
): Record<string, HostTensor & { readonly data: Float32Array }> {
  return Object.fromEntries(
    slots.map(({ name, shape, offset, length }) => [
      name,
      { data: buffer.subarray(offset, offset + length), shape },
    ]),
  );
}
