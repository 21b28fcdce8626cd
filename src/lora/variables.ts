import { matmul, multiplyDims, reshape, type Tensor, transpose } from "../graph/index.js";
import type { LinearModule } from "../nn/linear.js";
import { type LoraConfig, rankOf, scaleOf, targetModules } from "./config.js";

/** A trainable variable of an adapter. */
export interface LoraVariable {
  /** `<module path>.lora_a`, `.lora_b` or `.lora_magnitude`. */
  readonly name: string;
  readonly module: LinearModule;
  readonly matrix: "a" | "b" | "magnitude";
  readonly shape: readonly number[];
}

export const variableName = (module: LinearModule, matrix: LoraVariable["matrix"]) =>
  `${module.path}.lora_${matrix}`;

export const isMagnitude = (variable: string): boolean => variable.endsWith(".lora_magnitude");

/** Every variable of the adapter, A before B before DoRA's magnitude, module by module. */
export function loraVariables(
  config: LoraConfig,
  modules: readonly LinearModule[],
): readonly LoraVariable[] {
  return targetModules(config, modules).flatMap((module) => {
    const shapes = variableShapes(config, module);
    const matrices = config.dora ? (["a", "b", "magnitude"] as const) : (["a", "b"] as const);
    return matrices.map((matrix) => ({
      name: variableName(module, matrix),
      module,
      matrix,
      shape: shapes[matrix],
    }));
  });
}

function variableShapes(
  config: LoraConfig,
  module: LinearModule,
): Record<LoraVariable["matrix"], number[]> {
  return { ...matrixShapes(config, module), magnitude: [module.outFeatures] };
}

function matrixShapes(config: LoraConfig, module: LinearModule): Record<"a" | "b", number[]> {
  const { inFeatures, outFeatures, heads, headsOf } = module;
  const { layout } = config;
  const rank = rankOf(config, module);
  if (layout === "standard") return { a: [rank, inFeatures], b: [outFeatures, rank] };
  if (!isAttention(module)) return { a: [inFeatures, rank], b: [rank, outFeatures] };
  return headsOf === "output"
    ? { a: [heads, inFeatures, rank], b: [rank, outFeatures / heads] }
    : { a: [heads, inFeatures / heads, rank], b: [rank, outFeatures] };
}

const isAttention = (module: LinearModule) => module.path.includes(".self_attn.");

/** Whether the module's variables in this layout are one A per output head and a B they share. */
export const sharesBetweenHeads = (config: LoraConfig, module: LinearModule): boolean =>
  config.layout === "keras" && isAttention(module) && module.headsOf === "output";

/**
 * What the adapter adds to the module's output, alpha / rank · B A x, from its variables (Hu et
 * al. 2021, arXiv:2106.09685; for the shared B, keras/src/layers/core/einsum_dense.py).
 */
export function loraDelta(
  config: LoraConfig,
  module: LinearModule,
  tensor: (variable: string) => Tensor,
): (x: Tensor) => Tensor {
  const a = tensor(variableName(module, "a"));
  const b = tensor(variableName(module, "b"));
  const scale = scaleOf(config, module);
  const rank = rankOf(config, module);
  const { inFeatures, outFeatures, heads } = module;
  if (config.layout === "standard") {
    return (x) => matmul(matmul(x, a, { transposeB: true }), b, { transposeB: true, scale });
  }
  if (!sharesBetweenHeads(config, module)) {
    return (x) => matmul(matmul(x, reshape(a, [inFeatures, rank])), b, { scale });
  }
  return (x) => {
    const tokens = x.shape[0]!;
    const stacked = reshape(transpose(a, [0, 2, 1]), [heads * rank, inFeatures]);
    const low = matmul(x, stacked, { transposeB: true });
    const perHead = reshape(low, [multiplyDims(tokens, heads), rank]);
    return reshape(matmul(perHead, b, { scale }), [tokens, outFeatures]);
  };
}
