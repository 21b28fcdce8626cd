import fc from "fast-check";
import {
  add,
  broadcastTo,
  causalAttention,
  crossEntropy,
  divide,
  exp,
  gatherRows,
  gelu,
  lessOrEqual,
  log,
  matmul,
  mean,
  multiply,
  multiplyDims,
  negate,
  reshape,
  rmsNorm,
  rope,
  ropeTable,
  type Shape,
  scatterAddRows,
  select,
  sigmoid,
  softmax,
  sqrt,
  subtract,
  sum,
  type Tensor,
  tanh,
  transpose,
} from "../../src/graph/index.js";
import { axes, axis, broadcasting, fixedAxis, shapeOf } from "./axes.js";
import type { GradientCase } from "./gradientCase.js";

type Cases = fc.Arbitrary<GradientCase>;
type Range = readonly [number, number];

const unary = (f: (x: Tensor) => Tensor, range: Range): Cases =>
  axes(0, 4).map((whole) => ({ floats: { x: { axes: whole, range } }, build: ({ x }) => f(x!) }));

const binary = (f: (a: Tensor, b: Tensor) => Tensor, rangeB: Range = [-1.5, 1.5]): Cases =>
  axes(0, 4)
    .chain((whole) => fc.tuple(broadcasting(whole), broadcasting(whole)))
    .map(([a, b]) => ({
      floats: { a: { axes: a }, b: { axes: b, range: rangeB } },
      build: (t) => f(t.a!, t.b!),
    }));

/** Some of the axes 0 … rank − 1, each counted from the front or from the back. */
const someAxes = (rank: number) =>
  fc
    .subarray(
      Array.from({ length: rank }, (_, i) => i),
      { minLength: 1 },
    )
    .chain((chosen) =>
      fc
        .array(fc.boolean(), { minLength: chosen.length, maxLength: chosen.length })
        .map((back) => chosen.map((one, i) => (back[i] ? one - rank : one))),
    );

const matmulCase: Cases = fc
  .tuple(axes(0, 2), axis("M"), axis("N"), axis("K"))
  .chain(([batch, m, n, k]) =>
    fc.record({
      batchA: broadcasting(batch),
      batchB: broadcasting(batch),
      transposeA: fc.boolean(),
      transposeB: fc.boolean(),
      scale: fc.constantFrom(1, 0.25, -1.5),
      m: fc.constant(m),
      n: fc.constant(n),
      k: fc.constant(k),
    }),
  )
  .map(({ batchA, batchB, transposeA, transposeB, scale, m, n, k }) => ({
    floats: {
      a: { axes: [...batchA, ...(transposeA ? [k, m] : [m, k])] },
      b: { axes: [...batchB, ...(transposeB ? [n, k] : [k, n])] },
    },
    build: ({ a, b }) => matmul(a!, b!, { transposeA, transposeB, scale }),
  }));

const reshapeCase: Cases = fc
  .tuple(axis("B"), axis("T"), fc.integer({ min: 0, max: 6 }))
  .map(([b, t, form]) => {
    const [B, T] = [b.dim, t.dim];
    const all = multiplyDims(multiplyDims(B, T), 6);
    const forms: Shape[] = [
      [multiplyDims(B, T), 2, 3],
      [B, T, 6],
      [all],
      [3, T, 2, B],
      [B, 2, multiplyDims(T, 3)],
      [1, all, 1],
      [multiplyDims(B, 2), multiplyDims(T, 3)],
    ];
    return {
      floats: { x: { axes: [b, t, { dim: 2, size: 2 }, { dim: 3, size: 3 }] } },
      build: ({ x }) => reshape(x!, forms[form]!),
    };
  });

const broadcastCase: Cases = axes(0, 4)
  .chain((whole) => fc.tuple(fc.constant(whole), broadcasting(whole)))
  .map(([whole, part]) => ({
    floats: { x: { axes: part } },
    // Its shape gives the symbols a value, as an input of the program must.
    frozen: { like: { axes: whole } },
    build: ({ x, like }) => multiply(broadcastTo(x!, shapeOf(whole)), like!),
  }));

const gatherCase: Cases = fc
  .tuple(axis("V", 2, 5), axis("D"), axes(1, 2))
  .map(([rows, width, indices]) => ({
    floats: { table: { axes: [rows, width] } },
    integers: { indices: { axes: indices, below: rows.size } },
    build: ({ table, indices }) => gatherRows(table!, indices!),
  }));

const scatterCase: Cases = fc
  .tuple(fixedAxis(2, 5), axis("D"), axes(1, 2))
  .map(([rows, width, indices]) => ({
    floats: { values: { axes: [...indices, width] } },
    integers: { indices: { axes: indices, below: rows.size } },
    build: ({ values, indices }) => scatterAddRows(values!, indices!, rows.dim),
  }));

const rmsNormCase: Cases = fc.tuple(axes(0, 3), fixedAxis(2, 5)).map(([rows, width]) => ({
  floats: { x: { axes: [...rows, width] }, scale: { axes: [width] } },
  build: ({ x, scale }) => rmsNorm(x!, scale!, 1e-2),
}));

const ropeCase: Cases = fc
  .tuple(axis("B"), fixedAxis(1, 3), axis("T"), fixedAxis(1, 4))
  .map(([b, h, t, { size: half }]) => ({
    floats: { x: { axes: [b, h, t, { dim: 2 * half, size: 2 * half }] } },
    integers: { positions: { axes: [b, t], below: 7 } },
    build: ({ x, positions }) => rope(x!, positions!, ropeTable(7, 2 * half, 100)),
  }));

const crossEntropyCase: Cases = fc
  .record({
    rows: axis("R", 1, 9),
    width: fixedAxis(),
    ids: fixedAxis(2, 7),
    chunkRows: fc.integer({ min: 1, max: 10 }),
    softCap: fc.constantFrom(undefined, 2, 30),
    result: fc.constantFrom("loss", "rowLoss", "both"),
  })
  .map(({ rows, width, ids, chunkRows, softCap, result }) => ({
    floats: {
      hidden: { axes: [rows, width] },
      table: { axes: [ids, width] },
      weights: { axes: [rows], range: [0, 1] as const },
    },
    integers: { targets: { axes: [rows], below: ids.size } },
    build: ({ hidden, table, targets, weights }) => {
      const { loss, rowLoss } = crossEntropy(hidden!, table!, targets!, weights!, {
        chunkRows,
        ...(softCap === undefined ? {} : { softCap }),
      });
      if (result === "loss") return loss;
      const weighted = multiply(rowLoss, weights!);
      return result === "rowLoss" ? weighted : add(loss, multiply(weighted, 0.5));
    },
  }));

const attentionCase: Cases = fc
  .record({
    batch: axis("B", 1, 2),
    keyHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 3 }),
    length: axis("T", 1, 7),
    width: fixedAxis(1, 3),
    scale: fc.constantFrom(0.3, 1),
    softCap: fc.constantFrom(undefined, 1.5),
    window: fc.constantFrom(undefined, 1, 3),
    blockQueries: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
  })
  .map(({ batch, keyHeads, group, length, width, ...options }) => {
    const heads = (count: number) => [batch, { dim: count, size: count }, length, width];
    return {
      floats: {
        query: { axes: heads(keyHeads * group) },
        keys: { axes: heads(keyHeads) },
        values: { axes: heads(keyHeads) },
      },
      integers: { positions: { axes: [batch, length], below: length.size } },
      build: ({ query, keys, values, positions }) =>
        causalAttention(query!, keys!, values!, positions!, options),
    };
  });

const selectCase: Cases = axes(0, 3)
  .chain((whole) => fc.tuple(broadcasting(whole), broadcasting(whole), broadcasting(whole)))
  .map(([condition, a, b]) => ({
    floats: { a: { axes: a }, b: { axes: b } },
    integers: { i: { axes: condition, below: 3 }, j: { axes: condition, below: 3 } },
    build: (t) => select(lessOrEqual(t.i!, t.j!), t.a!, t.b!),
  }));

/** Random uses of every differentiable operation, by its name. */
export const gradientCases: Readonly<Record<string, Cases>> = {
  add: binary(add),
  subtract: binary(subtract),
  multiply: binary(multiply),
  divide: binary(divide, [0.5, 2]),
  negate: unary(negate, [-1.5, 1.5]),
  exp: unary(exp, [-1.5, 1.5]),
  log: unary(log, [0.5, 3]),
  sqrt: unary(sqrt, [0.5, 3]),
  tanh: unary(tanh, [-3, 3]),
  sigmoid: unary(sigmoid, [-5, 5]),
  gelu: unary(gelu, [-5, 5]),
  select: selectCase,
  sum: axes(1, 4).chain((whole) =>
    someAxes(whole.length).map((chosen) => ({
      floats: { x: { axes: whole } },
      build: ({ x }) => sum(x!, chosen),
    })),
  ),
  mean: fc.array(fixedAxis(), { minLength: 1, maxLength: 4 }).chain((whole) =>
    someAxes(whole.length).map((chosen) => ({
      floats: { x: { axes: whole } },
      build: ({ x }) => mean(x!, chosen),
    })),
  ),
  broadcast: broadcastCase,
  reshape: reshapeCase,
  transpose: axes(1, 4).chain((whole) =>
    fc
      .shuffledSubarray(
        whole.map((_, i) => i),
        { minLength: whole.length },
      )
      .map((order) => ({
        floats: { x: { axes: whole } },
        build: ({ x }) => transpose(x!, order),
      })),
  ),
  matmul: matmulCase,
  gatherRows: gatherCase,
  scatterAddRows: scatterCase,
  softmax: axes(1, 4).map((whole) => ({
    floats: { x: { axes: whole, range: [-8, 8] as const } },
    build: ({ x }) => softmax(x!),
  })),
  rmsNorm: rmsNormCase,
  rope: ropeCase,
  causalAttention: attentionCase,
  crossEntropy: crossEntropyCase,
};
