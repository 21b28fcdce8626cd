import { type Dim, elementCount, multiplyDims, sameShape } from "./dim.js";
import { apply1, expectFloat, type Operation, type Tensor } from "./tensor.js";

const gatherRowsOperation: Operation = {
  name: "gatherRows",
  infer: ([table, indices]) => {
    if (table!.shape.length !== 2) throw new Error("the table must be a matrix");
    if (indices!.dtype !== "int32") throw new Error("indices must be int32");
    return [{ shape: [...indices!.shape, table!.shape[1]!], dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients }) => {
    const [table, indices] = inputs as [Tensor, Tensor];
    return [scatterAddRows(outputGradients[0]!, indices, table.shape[0]!), undefined];
  },
  // Of the table, only the rows that are asked for.
  bytes: ({ outputs: [y] }) => multiplyDims(8, elementCount(y!.shape)),
};

/** Row `indices[…]` of a `[rows, width]` table, as float32: shape `[...indices.shape, width]`. */
export const gatherRows = (table: Tensor, indices: Tensor): Tensor =>
  apply1(gatherRowsOperation, [table, indices]);

const scatterAddRowsOperation: Operation = {
  name: "scatterAddRows",
  infer: ([values, indices], { rows }) => {
    expectFloat(values!);
    if (indices!.dtype !== "int32") throw new Error("indices must be int32");
    if (!sameShape(values!.shape.slice(0, -1), indices!.shape)) {
      throw new Error("one index is needed for each row of values");
    }
    return [{ shape: [rows as Dim, values!.shape.at(-1)!], dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients }) => [
    gatherRows(outputGradients[0]!, inputs[1]!),
    undefined,
  ],
};

/** A zero `[rows, width]` matrix with each row of values added at its index. */
export const scatterAddRows = (values: Tensor, indices: Tensor, rows: Dim): Tensor =>
  apply1(scatterAddRowsOperation, [values, indices], { rows });
