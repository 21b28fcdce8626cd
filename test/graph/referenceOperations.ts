import { type Attribute, type Shape, uniformRounds } from "../../src/graph/index.js";
import { attention } from "./referenceAttention.js";
import { crossEntropy } from "./referenceCrossEntropy.js";

/** Row-major doubles and their shape. */
export interface Array64 {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

type Evaluate = (
  operands: readonly Array64[],
  attributes: Readonly<Record<string, Attribute>>,
  concrete: (shape: Shape) => number[],
) => readonly Array64[];

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** An array of this shape; `value` is asked for every place's index along each axis. */
export function fill(
  shape: readonly number[],
  value: (index: readonly number[]) => number,
): Array64 {
  const data = new Float64Array(count(shape));
  const index = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = value(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return { data, shape };
}

/** The element at an index, which may have more axes (ignored in front) and broadcasts where x has length 1. */
function at(x: Array64, index: readonly number[]): number {
  const extra = index.length - x.shape.length;
  let place = 0;
  x.shape.forEach((length, axis) => {
    place = place * length + (length === 1 ? 0 : index[axis + extra]!);
  });
  return x.data[place]!;
}

function broadcastShape(...operands: readonly Array64[]): number[] {
  const rank = Math.max(...operands.map((x) => x.shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = operands.map((x) => x.shape[axis - rank + x.shape.length] ?? 1);
    return lengths.find((length) => length !== 1) ?? 1;
  });
}

const binary =
  (f: (a: number, b: number) => number): Evaluate =>
  ([a, b]) => [fill(broadcastShape(a!, b!), (index) => f(at(a!, index), at(b!, index)))];

const unary =
  (f: (x: number) => number): Evaluate =>
  ([x]) => [{ data: x!.data.map(f), shape: x!.shape }];

function sum(x: Array64, axes: readonly number[]): Array64 {
  const shape = x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const data = new Float64Array(count(shape));
  fill(x.shape, (index) => {
    let place = 0;
    shape.forEach((length, axis) => {
      place = place * length + (length === 1 ? 0 : index[axis]!);
    });
    data[place] = data[place]! + at(x, index);
    return 0;
  });
  return { data, shape };
}

function matmul(
  a: Array64,
  b: Array64,
  options: { transposeA: boolean; transposeB: boolean; scale: number },
): Array64 {
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number];
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number];
  const inner = options.transposeA ? rowsA : columnsA;
  const batchA = { data: a.data, shape: a.shape.slice(0, -2) };
  const batchB = { data: b.data, shape: b.shape.slice(0, -2) };
  const batch = broadcastShape(batchA, batchB);
  const shape = [
    ...batch,
    options.transposeA ? columnsA : rowsA,
    options.transposeB ? rowsB : columnsB,
  ];
  return fill(shape, (index) => {
    const leading = index.slice(0, -2);
    const [i, j] = index.slice(-2) as [number, number];
    let total = 0;
    for (let k = 0; k < inner; k++) {
      const left = at(a, [...leading, ...(options.transposeA ? [k, i] : [i, k])]);
      total += left * at(b, [...leading, ...(options.transposeB ? [j, k] : [k, j])]);
    }
    return options.scale * total;
  });
}

/** Rows of the last axis, each replaced by `f` of it. */
function mapRows(x: Array64, f: (row: Float64Array) => Float64Array): Array64 {
  const width = x.shape.at(-1)!;
  const data = new Float64Array(x.data.length);
  for (let from = 0; from < data.length; from += width) {
    data.set(f(x.data.subarray(from, from + width)), from);
  }
  return { data, shape: x.shape };
}

function softmaxRow(row: Float64Array): Float64Array {
  const largest = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

function rmsNorm(x: Array64, scale: Array64, epsilon: number): Array64[] {
  const inverses: number[] = [];
  const y = mapRows(x, (row) => {
    const inverse = 1 / Math.sqrt(row.reduce((a, b) => a + b * b, 0) / row.length + epsilon);
    inverses.push(inverse);
    return row.map((value, i) => value * inverse * scale.data[i]!);
  });
  return [y, { data: Float64Array.from(inverses), shape: [...x.shape.slice(0, -1), 1] }];
}

function rope(x: Array64, positions: Array64, cos: Array64, sin: Array64): Array64 {
  const half = x.shape[3]! / 2;
  return fill(x.shape, ([b, h, t, i]) => {
    const angle = [at(positions, [b!, t!]), i! % half];
    const partner = at(x, [b!, h!, t!, (i! + half) % (2 * half)]);
    const turned = i! < half ? -partner : partner;
    return at(x, [b!, h!, t!, i!]) * at(cos, angle) + turned * at(sin, angle);
  });
}

function scatterAddRows(values: Array64, indices: Array64, rows: number): Array64 {
  const width = values.shape.at(-1)!;
  const data = new Float64Array(rows * width);
  indices.data.forEach((row, i) => {
    for (let j = 0; j < width; j++) {
      data[row * width + j] = data[row * width + j]! + values.data[i * width + j]!;
    }
  });
  return { data, shape: [rows, width] };
}

/** The counter-based generator of the operation's comment, in integers of any size. */
function uniform(seed: number, stream: number, shape: readonly number[]): Array64 {
  const modulus = 2n ** 31n - 1n;
  const start = BigInt(seed) * 7919n + BigInt(stream) * 1327217885n;
  const data = Float64Array.from({ length: count(shape) }, (_, i) => {
    let x = (start + BigInt(i)) % modulus;
    for (const { multiplier, increment } of uniformRounds) {
      x = (x * x + BigInt(multiplier) * x + BigInt(increment)) % modulus;
    }
    return Number(x) / 2 ** 31;
  });
  return { data, shape };
}

/** Every operation of the graph in float64, written from its definition. */
export const reference: Readonly<Record<string, Evaluate>> = {
  add: binary((a, b) => a + b),
  subtract: binary((a, b) => a - b),
  multiply: binary((a, b) => a * b),
  divide: binary((a, b) => a / b),
  negate: unary((x) => -x),
  exp: unary(Math.exp),
  log: unary(Math.log),
  sqrt: unary(Math.sqrt),
  tanh: unary(Math.tanh),
  sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  gelu: unary((x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  lessOrEqual: binary((a, b) => Number(a <= b)),
  select: ([condition, a, b]) => [
    fill(broadcastShape(condition!, a!, b!), (index) =>
      at(condition!, index) ? at(a!, index) : at(b!, index),
    ),
  ],
  cast: ([x]) => [x!],
  barrier: ([x]) => [x!],
  stopGradient: ([x]) => [x!],
  sum: ([x], { axes }) => [sum(x!, axes as number[])],
  mean: ([x], { axes }) => {
    const total = sum(x!, axes as number[]);
    const share = total.data.length / x!.data.length;
    return [{ data: total.data.map((value) => value * share), shape: total.shape }];
  },
  broadcast: ([x], { shape }, concrete) => [fill(concrete(shape as Shape), (i) => at(x!, i))],
  reshape: ([x], { shape }, concrete) => [{ data: x!.data, shape: concrete(shape as Shape) }],
  transpose: ([x], { permutation }) => {
    const order = permutation as number[];
    const shape = order.map((axis) => x!.shape[axis]!);
    return [
      fill(shape, (index) =>
        at(
          x!,
          order.map((_, axis) => index[order.indexOf(axis)]!),
        ),
      ),
    ];
  },
  slice: ([x], { axis, start, size }, concrete) => {
    const [from, count] = concrete([start, size] as Shape) as [number, number];
    const along = axis as number;
    const shape = x!.shape.map((n, i) => (i === along ? count : n));
    return [
      fill(shape, (index) =>
        at(
          x!,
          index.map((n, i) => (i === along ? n + from : n)),
        ),
      ),
    ];
  },
  concat: ([a, b], { axis }) => {
    const along = axis as number;
    const first = a!.shape[along]!;
    const shape = a!.shape.map((n, i) => (i === along ? n + b!.shape[along]! : n));
    const inB = (index: readonly number[]) => index.map((n, i) => (i === along ? n - first : n));
    return [fill(shape, (i) => (i[along]! < first ? at(a!, i) : at(b!, inB(i))))];
  },
  matmul: ([a, b], attributes) => [
    matmul(a!, b!, attributes as { transposeA: boolean; transposeB: boolean; scale: number }),
  ],
  gatherRows: ([table, indices]) => {
    const shape = [...indices!.shape, table!.shape[1]!];
    return [fill(shape, (i) => at(table!, [at(indices!, i.slice(0, -1)), i.at(-1)!]))];
  },
  scatterAddRows: ([values, indices], { rows }, concrete) => [
    scatterAddRows(values!, indices!, concrete([rows as Shape[number]])[0]!),
  ],
  uniform: ([seed], { shape, stream }, concrete) => [
    uniform(seed!.data[0]!, stream as number, concrete(shape as Shape)),
  ],
  softmax: ([x]) => [mapRows(x!, softmaxRow)],
  rmsNorm: ([x, scale], { epsilon }) => rmsNorm(x!, scale!, epsilon as number),
  rope: ([x, positions, cos, sin]) => [rope(x!, positions!, cos!, sin!)],
  causalAttention: (operands, attributes) => [attention(operands, attributes).result],
  causalAttentionGradient: (operands, attributes) =>
    attention(operands, attributes, operands[5]).gradients,
  crossEntropy: ([hidden, table, targets, weights], { softCap }) =>
    crossEntropy(hidden!, table!, targets!, weights!, softCap as number),
};
