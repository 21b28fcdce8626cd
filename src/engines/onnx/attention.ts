import { inBlocks, inBlocksWithSums } from "./attentionBlocks.js";
import { type Heads, headsOf, type Part, whole } from "./attentionParts.js";
import { type ModelBuilder, microsoft } from "./builder.js";
import type { Lowering } from "./lowering.js";

/** causalAttention: all at once, or as an ONNX Loop over blocks of queries. */
export const lowerCausalAttention: Lowering = ({ node, inputs, outputs, model }) => {
  const heads = headsOf(node);
  const [query, keys, values, positions] = inputs as [string, string, string, string];
  const mix = (part: Part, q: string) => {
    const { probabilities } = softmaxOf(model, heads, part, part.queries(q), part.keys(keys));
    return model.emit("MatMul", [probabilities, part.keys(values)]);
  };
  if (heads.blockQueries > 0) {
    inBlocks(model, heads, positions, query, outputs[0]!, mix);
  } else {
    const mixed = mix(whole(model, heads, positions), query);
    unfold(model, heads, mixed, outputs[0]!);
  }
};

/** Its gradient: the probabilities once more, then the chain rule. */
export const lowerCausalAttentionGradient: Lowering = ({ node, inputs, outputs, used, model }) => {
  const heads = headsOf(node);
  const [query, keys, values, positions, result, resultGradient] = inputs as string[];
  const wanted = [1, 2].filter((output) => used[output]);
  const given = [query!, result!, resultGradient!];
  const gradients = (part: Part, blocked: readonly string[]) => {
    const [q, o, dO] = blocked.map((x) => part.queries(x)) as [string, string, string];
    const [k, v] = [part.keys(keys!), part.keys(values!)];
    const { p, dS } = chain(model, heads, part, { q, o, dO, k, v });
    const alpha = { float: heads.scale };
    const ofKeys = () => product(model, dS, q, { transA: 1, alpha });
    const ofValues = () => product(model, p, dO, { transA: 1 });
    return {
      query: product(model, dS, k, { alpha }),
      sums: wanted.map((output) => (output === 1 ? ofKeys() : ofValues())),
    };
  };
  const sumNames = wanted.map((output) => outputs[output]!);
  if (heads.blockQueries > 0) {
    const shape = model.shape(node.inputs[1]!.shape);
    const results = { query: outputs[0]!, sums: sumNames, sumShape: shape };
    inBlocksWithSums(model, heads, positions!, given, results, gradients);
  } else {
    const { query: dQuery, sums } = gradients(whole(model, heads, positions!), given);
    unfold(model, heads, dQuery, outputs[0]!);
    sums.forEach((sum, i) => {
      model.emit("Identity", [sum], {}, { outputs: [sumNames[i]!] });
    });
  }
};

const product = (
  model: ModelBuilder,
  a: string,
  b: string,
  attributes: Record<string, number | { float: number }>,
) => model.emit("FusedMatMul", [a, b], attributes, { domain: microsoft });

/** The probabilities of a part, `[B, K, G·c, keys]`, and the tanh of its soft-cap, if it has one. */
function softmaxOf(model: ModelBuilder, heads: Heads, part: Part, query: string, keys: string) {
  const { scale, softCap } = heads;
  const raw = product(model, query, keys, { transB: 1, alpha: { float: scale } });
  const ratio =
    softCap > 0 ? model.emit("Tanh", [model.emit("Div", [raw, model.floats(softCap)])]) : undefined;
  const scores = ratio === undefined ? raw : model.emit("Mul", [ratio, model.floats(softCap)]);
  const biased = model.emit("Add", [part.perHead(scores), part.bias]);
  const probabilities = part.folded(model.emit("Softmax", [biased], { axis: -1 }));
  return { probabilities, ratio };
}

/** Probabilities p and the gradient dS of the scores, from the gradient dO of the result o. */
function chain(
  model: ModelBuilder,
  heads: Heads,
  part: Part,
  { q, o, dO, k, v }: Readonly<Record<"q" | "o" | "dO" | "k" | "v", string>>,
): { p: string; dS: string } {
  const { probabilities: p, ratio } = softmaxOf(model, heads, part, q, k);
  const dP = product(model, dO, v, { transB: 1 });
  // Σ p · dP over the keys is Σ o · dO over the head.
  const along = model.emit("ReduceSum", [model.emit("Mul", [o, dO]), model.integers([-1])], {
    keepdims: 1,
  });
  const dCapped = model.emit("Mul", [p, model.emit("Sub", [dP, along])]);
  if (ratio === undefined) return { p, dS: dCapped };
  // Through the soft-cap, ∂capped/∂score = 1 − tanh².
  const slope = model.emit("Sub", [model.floats(1), model.emit("Mul", [ratio, ratio])]);
  return { p, dS: model.emit("Mul", [dCapped, slope]) };
}

/** `[B, K, G·T, d]` as `[B, H, T, d]`. */
function unfold(model: ModelBuilder, heads: Heads, x: string, output: string): void {
  const { batch, keyHeads, group, length, width } = heads;
  const shape = model.shape([batch, keyHeads * group, length, width]);
  model.emit("Reshape", [x, shape], {}, { outputs: [output] });
}
