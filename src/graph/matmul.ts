import { broadcastShapes, type Dim, elementCount, multiplyDims, sameDim } from "./dim.js";
import { sumTo } from "./reduce.js";
import { apply1, type Operation, type Tensor } from "./tensor.js";

export interface MatmulOptions {
  /** Multiply by the transpose of the last two axes of a. */
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Factor on the product, applied by the kernel at no cost. */
  readonly scale?: number;
}

const matmulOperation: Operation = {
  name: "matmul",
  infer: ([a, b], { transposeA, transposeB }) => {
    for (const { dtype } of [a!, b!]) {
      if (dtype === "int32" || dtype === "bool") throw new Error(`cannot multiply ${dtype}`);
    }
    if (a!.shape.length < 2 || b!.shape.length < 2) throw new Error("needs matrices");
    const [rows, inner] = lastTwo(a!, transposeA as boolean);
    const [innerB, columns] = lastTwo(b!, transposeB as boolean);
    if (!sameDim(inner, innerB)) throw new Error("inner dimensions differ");
    const batch = broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return [{ shape: [...batch, rows, columns], dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients, attributes, needs }) => {
    const [a, b] = inputs as [Tensor, Tensor];
    const dy = outputGradients[0]!;
    const {
      transposeA: tA,
      transposeB: tB,
      scale,
    } = attributes as unknown as Required<MatmulOptions>;
    const da = () =>
      tA
        ? matmul(b, dy, { transposeA: tB, transposeB: true, scale })
        : matmul(dy, b, { transposeB: !tB, scale });
    const db = () =>
      tB
        ? matmul(dy, a, { transposeA: true, transposeB: tA, scale })
        : matmul(a, dy, { transposeA: !tA, scale });
    return [
      needs[0] ? sumTo(da(), a.shape) : undefined,
      needs[1] ? sumTo(db(), b.shape) : undefined,
    ];
  },
  flops: ({ inputs: [a], outputs: [y], attributes: { transposeA } }) => {
    const inner = a!.shape.at(transposeA ? -2 : -1)!;
    return multiplyDims(2, multiplyDims(inner, elementCount(y!.shape)));
  },
};

function lastTwo(x: Tensor, transposed: boolean): [Dim, Dim] {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

/**
 * scale · a @ b over the last two axes, leading axes broadcast; result float32.
 * One operand may be a weight stored in half precision; the product is computed in float32.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  return apply1(matmulOperation, [a, b], { transposeA, transposeB, scale });
}
