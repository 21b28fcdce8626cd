import { FacetError } from "../../errors.js";
import type { QuantizedTensor } from "../../formats/quantizedTensor.js";
import type { SafetensorsDType, TensorInfo } from "../../formats/safetensors.js";
import { type DType, input, quantizedWeight, type Tensor, weight } from "../../graph/index.js";
import type { GemmaConfig } from "./config.js";
import { gemmaWeightSpecs } from "./weights.js";

const storedTypes: Partial<Record<SafetensorsDType, DType>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * Checks that a checkpoint holds exactly this model's tensors, with the right shapes and a type
 * that can be computed with. Throws a FacetError that lists every tensor that does not bind.
 */
export function bindWeights(
  config: GemmaConfig,
  stored: ReadonlyMap<string, TensorInfo>,
  folder: string,
): ReadonlyMap<string, TensorInfo> {
  const specs = gemmaWeightSpecs(config);
  const problems = specs.flatMap(({ name, shape }) => {
    const tensor = stored.get(name);
    const wanted = `[${shape.join(", ")}]`;
    if (tensor === undefined) return [`${name} is missing (expected ${wanted})`];
    if (tensor.shape.join() !== shape.join()) {
      return [`${name} has shape [${tensor.shape.join(", ")}], expected ${wanted}`];
    }
    if (storedTypes[tensor.dtype] === undefined) {
      return [`${name} has type ${tensor.dtype}, expected F32, F16 or BF16`];
    }
    return [];
  });
  const known = new Set(specs.map((spec) => spec.name));
  for (const name of stored.keys()) {
    if (!known.has(name)) problems.push(`${name} is no tensor of this model`);
  }
  if (problems.length > 0) {
    const shown = problems.slice(0, 8).map((problem) => `\n  ${problem}`);
    const more = problems.length > 8 ? `\n  and ${problems.length - 8} more` : "";
    throw new FacetError(
      `The weights in ${folder} do not fit its config.json:${shown.join("")}${more}`,
    );
  }
  return stored;
}

/** A weight that an engine can map. */
export type FrozenWeight = TensorInfo | QuantizedTensor;

/** Every weight as a frozen tensor that stays in its file. */
export function frozenWeights(
  weights: ReadonlyMap<string, FrozenWeight>,
): (name: string) => Tensor {
  return (name) => {
    const stored = weights.get(name)!;
    if ("bits" in stored) {
      return quantizedWeight(name, stored.shape, stored.bits === 8 ? "q8" : "q4", stored);
    }
    const { shape, dtype, file, offset, byteLength } = stored;
    return weight(name, shape, storedTypes[dtype]!, { file, offset, byteLength });
  };
}

/** Every weight as a trainable input, for pre-training. */
export function trainableWeights(config: GemmaConfig): ReadonlyMap<string, Tensor> {
  return new Map(gemmaWeightSpecs(config).map(({ name, shape }) => [name, input(name, shape)]));
}

export const parameterCount = (config: GemmaConfig): number =>
  gemmaWeightSpecs(config).reduce((sum, spec) => sum + spec.shape.reduce((a, b) => a * b, 1), 0);
