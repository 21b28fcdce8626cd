import {
  type FileRegion,
  isQuantized,
  type Program,
  quantizedBlock,
  type Tensor,
} from "../../graph/index.js";
import { type ModelBuilder, microsoft } from "./builder.js";
import { elementType } from "./values.js";

/** The ways ONNX Runtime takes a block-quantised weight; each wants the same bytes in another shape and type. */

function layout(weight: Tensor) {
  const [rows, columns] = weight.shape as [number, number];
  const { name, region, scales } = weight.node.attributes as {
    readonly name: string;
    readonly region: FileRegion;
    readonly scales: FileRegion;
  };
  const bits = weight.dtype === "q8" ? 8 : 4;
  return { name, region, scales, rows, columns, bits, blocks: columns / quantizedBlock };
}

/**
 * The weight as a float32 matrix. Given as one row a block, it is dequantised by the kernel for a scale per row, which
 * is vectorised and runs on all threads; the one for blocks is neither, and several times slower.
 */
export function dequantize(model: ModelBuilder, weight: Tensor): string {
  const { name, region, scales, rows, columns, bits, blocks } = layout(weight);
  const count = rows * blocks;
  const type = bits === 8 ? "uint8" : "uint4";
  const values = model.weight(`${name}:rows`, [count, quantizedBlock], type, region);
  const scale = model.weight(`${name}:row scales`, [count], "float32", scales);
  const zeros = model.widen("Cast", [halfOfRange(model, bits, count)], { to: elementType[type] });
  const flat = model.widen("DequantizeLinear", [values, scale, zeros], { axis: 0 });
  return model.widen("Reshape", [flat, model.integers([rows, columns])], {});
}

/** As many zero points as there are blocks; made at each run, since in the file they would be as many bytes. */
const halfOfRange = (model: ModelBuilder, bits: number, count: number): string =>
  model.widen("Expand", [model.bytes([2 ** (bits - 1)]), model.integers([count])], {});

/** Rows of the weight as float32: `outputs[0]` is `[...indices, columns]`. */
export function dequantizeRows(
  model: ModelBuilder,
  weight: Tensor,
  indices: string,
  outputs: readonly string[],
): void {
  const { name, region, scales, rows, columns, bits, blocks } = layout(weight);
  const packed = [rows, (columns * bits) / 8];
  const values = model.weight(`${name}:packed`, packed, "uint8", region);
  const scale = model.weight(`${name}:scales`, [rows, blocks], "float32", scales);
  const attributes = { gather_axis: 0, quantize_axis: 1, block_size: quantizedBlock, bits };
  const options = { outputs, domain: microsoft };
  model.emit("GatherBlockQuantized", [values, indices, scale], attributes, options);
}

/** Rounds the other operand to int8 blocks, and multiplies integers (`accuracy_level` 4 of MatMulNBits). */
const int8Activations = 4;

/** Most values of a product. The engine needs the memory for packing one twice, for a moment. */
const productValues = 2 ** 26;

/**
 * x Wᵀ with the activations rounded to int8 blocks. x `[N, in]`, weight `[out, in]`. A large weight is multiplied in
 * parts, each some rows of it.
 */
export function quantizedProduct(
  model: ModelBuilder,
  x: string,
  weight: Tensor,
  outputs: readonly string[],
): void {
  const { name, region, scales, rows, columns, bits, blocks } = layout(weight);
  const options = { block_size: quantizedBlock, accuracy_level: int8Activations };
  const blockBytes = (quantizedBlock * bits) / 8;
  const part = (start: number, count: number) => {
    const of = (whole: FileRegion): FileRegion => {
      const rowBytes = whole.byteLength / rows;
      return { ...whole, offset: whole.offset + start * rowBytes, byteLength: count * rowBytes };
    };
    const at = `${name}:${start}+${count}`;
    return [
      model.weight(`${at} blocks`, [count, blocks, blockBytes], "uint8", of(region)),
      model.weight(`${at} scales`, [count, blocks], "float32", of(scales)),
    ];
  };
  const most = Math.max(1, Math.floor(productValues / columns));
  const starts = Array.from({ length: Math.ceil(rows / most) }, (_, i) => i * most);
  const products = starts.map((start) => {
    const count = Math.min(most, rows - start);
    const attributes = { K: columns, N: count, bits, ...options };
    const whole = starts.length === 1 ? { outputs } : {};
    const inputs = [x, ...part(start, count)];
    return model.emit("MatMulNBits", inputs, attributes, { ...whole, domain: microsoft });
  });
  if (starts.length > 1) model.emit("Concat", products, { axis: 1 }, { outputs });
}

/** Whether the engine multiplies integers, whose kernels only run on weights that were packed when the program was opened. */
export const multipliesIntegers = ({ nodes, activations }: Program): boolean =>
  activations === "int8" && nodes.some(({ outputs }) => isQuantized(outputs[0]!));
