import type { Dim, Tensor } from "../../graph/index.js";
import type { ModelBuilder } from "./builder.js";
import { chunks } from "./chunks.js";
import { asFloat32, type Lowering } from "./lowering.js";
import { elementType, type Subgraph, valueInfo } from "./values.js";

const float = elementType.float32;

/**
 * crossEntropy as an ONNX Loop over chunks of rows.
 *
 * Rows are padded to a whole number of equal chunks. In each chunk, with p = softmax(logits):
 * row loss = max − log p(best) − logit(target), which stays finite where p(target) underflows;
 * ∂/∂hidden = weight · (p @ table − table[target]), which needs no one-hot matrix.
 */
export const lowerCrossEntropy: Lowering = ({ node, inputs, outputs, used, model }) => {
  const [hidden, tableTensor] = node.inputs as [Tensor, Tensor];
  const [rows, width] = hidden.shape as [Dim, number];
  const chunking = chunks(model, rows, node.attributes.chunkRows as number);
  const softCap = node.attributes.softCap as number;
  const wantsTable = used[4]!;

  const table = asFloat32(model, tableTensor, inputs[1]!);
  const grouped = (name: string, trailing: readonly number[]) => {
    const pads = chunking.pads(0, 1 + trailing.length);
    return model.emit("Reshape", [model.emit("Pad", [name, pads]), chunking.shape([], trailing)]);
  };
  const chunked = {
    hidden: grouped(inputs[0]!, [width]),
    targets: grouped(inputs[2]!, []),
    weights: grouped(inputs[3]!, []),
  };

  const scanned = [1, 2, 3].filter((output) => used[output] || (output === 1 && used[0]));
  const body = chunkBody(model, chunked, table, softCap, scanned, wantsTable);
  const carried = wantsTable
    ? [model.emit("ConstantOfShape", [model.shape(tableTensor.shape)])]
    : [];
  const loopOutputs = [...carried.map(() => outputs[4]!), ...scanned.map(() => model.fresh())];
  model.emit("Loop", [chunking.count, "", ...carried], { body }, { outputs: loopOutputs });

  const flat = new Map<number, string>();
  scanned.forEach((output, i) => {
    const trailing = output === 3 ? [width] : [];
    const all = model.emit("Reshape", [
      loopOutputs[carried.length + i]!,
      model.integers([-1, ...trailing]),
    ]);
    const slice = [all, model.integers([0]), model.shape([rows]), model.integers([0])];
    flat.set(output, model.emit("Slice", slice, {}, { outputs: [outputs[output]!] }));
  });
  if (used[0]) {
    const weighted = model.emit("Mul", [flat.get(1)!, inputs[3]!]);
    model.emit("ReduceSum", [weighted], { keepdims: 0 }, { outputs: [outputs[0]!] });
  }
};

function chunkBody(
  model: ModelBuilder,
  chunked: { hidden: string; targets: string; weights: string },
  table: string,
  softCap: number,
  scanned: readonly number[],
  wantsTable: boolean,
): Subgraph {
  const [iteration, going, tableBefore] = [model.fresh(), model.fresh(), model.fresh()];
  const inputs = [
    valueInfo(iteration, [], elementType.int32),
    valueInfo(going, [], elementType.bool),
    ...(wantsTable ? [valueInfo(tableBefore, undefined, float)] : []),
  ];
  return model.subgraph(inputs, () => {
    const part = (name: string) => model.emit("Gather", [name, iteration], { axis: 0 });
    const column = (name: string) => model.emit("Unsqueeze", [name, model.integers([1])]);
    const row = (name: string) => model.emit("Squeeze", [name, model.integers([1])]);
    const pick = (matrix: string, at: string) =>
      model.emit("GatherElements", [matrix, at], { axis: 1 });

    const hidden = part(chunked.hidden);
    const targetIds = part(chunked.targets);
    const target = column(targetIds);
    const raw = model.emit("Gemm", [hidden, table], { transB: 1 });
    const ratio =
      softCap > 0 ? model.emit("Tanh", [model.emit("Div", [raw, model.floats(softCap)])]) : "";
    const logits = softCap > 0 ? model.emit("Mul", [ratio, model.floats(softCap)]) : raw;
    // Largest values, not their places: ONNX Runtime's ArgMax takes four times as long.
    const largest = (matrix: string) =>
      model.emit("ReduceMax", [matrix, model.integers([1])], { keepdims: 1 });
    const best = largest(logits);
    const p = model.emit("Softmax", [logits], { axis: -1 });
    const logSum = model.emit("Sub", [best, model.emit("Log", [largest(p)])]);

    const results = new Map<number, string>();
    results.set(1, row(model.emit("Sub", [logSum, pick(logits, target)])));
    if (scanned.includes(2)) {
      const hit = model.emit("LessOrEqual", [best, pick(logits, target)]);
      results.set(2, row(model.emit("Cast", [hit], { to: float })));
    }
    let tableAfter: string | undefined;
    if (scanned.includes(3) || wantsTable) {
      const weight = column(part(chunked.weights));
      // Through the soft-cap, ∂logits/∂raw = 1 − tanh².
      const slope =
        softCap > 0 ? model.emit("Sub", [model.floats(1), model.emit("Mul", [ratio, ratio])]) : "";
      const dense = softCap > 0 ? model.emit("Mul", [p, slope]) : p;
      const atTarget = (rows: string) =>
        softCap > 0 ? model.emit("Mul", [rows, pick(slope, target)]) : rows;
      if (scanned.includes(3)) {
        const gathered = atTarget(model.emit("Gather", [table, targetIds], { axis: 0 }));
        const difference = model.emit("Sub", [model.emit("Gemm", [dense, table]), gathered]);
        results.set(3, model.emit("Mul", [difference, weight]));
      }
      if (wantsTable) {
        const weighted = model.emit("Mul", [hidden, weight]);
        const sum = model.emit("Gemm", [dense, weighted, tableBefore], { transA: 1 });
        const minus = model.emit("Neg", [atTarget(weighted)]);
        tableAfter = model.emit("ScatterND", [sum, target, minus], { reduction: "add" });
      }
    }
    const stillGoing = model.emit("Identity", [going]);
    return [
      valueInfo(stillGoing, [], elementType.bool),
      ...(tableAfter === undefined ? [] : [valueInfo(tableAfter, undefined, float)]),
      ...scanned.map((output) => valueInfo(results.get(output)!, undefined, float)),
    ];
  });
}
