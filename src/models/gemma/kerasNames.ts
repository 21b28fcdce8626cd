import type { LinearModule } from "../../nn/linear.js";
import type { GemmaConfig } from "./config.js";
import { familyOf } from "./family.js";
import { gemmaModules, gemmaWeightSpecs } from "./weights.js";

/** A tensor as KerasHub's backbone has it. */
export interface KerasTensor {
  /** Layers from the backbone down to the one that has it, with the names that Keras gives them. */
  readonly layers: readonly KerasLayer[];
  readonly shape: readonly number[];
  /** Transposing each of `batch` matrices of `rows` × `columns` gives Hugging Face's layout; undefined: nothing to do. */
  readonly transposed: { batch: number; rows: number; columns: number } | undefined;
}

export interface KerasLayer {
  /** The layer's attribute, by which a weights file has it. */
  readonly key: string;
  /** Its `name`. */
  readonly name: string;
}

const layer = (key: string, name = key): KerasLayer => ({ key, name });

/** KerasHub's attributes and names of the linear layers; the first four are inside of `attention`. */
const linearLayers: Readonly<Record<string, KerasLayer>> = {
  q_proj: layer("query_dense", "query"),
  k_proj: layer("key_dense", "key"),
  v_proj: layer("value_dense", "value"),
  o_proj: layer("output_dense", "attention_output"),
  gate_proj: layer("gating_ffw", "ffw_gating"),
  up_proj: layer("gating_ffw_2", "ffw_gating_2"),
  down_proj: layer("ffw_linear"),
};

const attention = layer("attention");
const isAttention = (target: string) => /^[qkvo]_proj$/.test(target);

/** Where each tensor of a model is in Keras, by its name in a Hugging Face checkpoint (convert_gemma.py of KerasHub). */
export function kerasTensors(config: GemmaConfig): Map<string, KerasTensor> {
  const { norms, headNorms, kerasClass } = familyOf(config);
  const normKeys = new Map<string | undefined, readonly KerasLayer[]>([
    [norms.preAttention, [layer("pre_attention_norm")]],
    [norms.postAttention, [layer("post_attention_norm")]],
    [norms.preFeedForward, [layer("pre_ffw_norm")]],
    [norms.postFeedForward, [layer("post_ffw_norm")]],
    [headNorms?.query, [attention, layer("query_norm")]],
    [headNorms?.key, [attention, layer("key_norm")]],
  ]);
  const modules = new Map(gemmaModules(config).map((module) => [module.path, module]));
  const block = (index: number) =>
    layer(
      `${kerasClass.toLowerCase()}_decoder_block${index === 0 ? "" : `_${index}`}`,
      `decoder_block_${index}`,
    );
  return new Map(
    gemmaWeightSpecs(config).map(({ name, shape }): [string, KerasTensor] => {
      const path = name.replace(/\.weight$/, "");
      const module = modules.get(path);
      if (module !== undefined) {
        const inner = isAttention(module.target) ? [attention] : [];
        const layers = [block(module.layer), ...inner, linearLayers[module.target]!];
        return [name, { layers, ...kernel(module) }];
      }
      const as = (...layers: KerasLayer[]): [string, KerasTensor] => [
        name,
        { layers, shape, transposed: undefined },
      ];
      const [, index, rest] = /\.layers\.(\d+)\.(.+)$/.exec(path) ?? [];
      if (index !== undefined) return as(block(Number(index)), ...normKeys.get(rest)!);
      return path.endsWith("embed_tokens")
        ? as(layer("reversible_embedding", "token_embedding"))
        : as(layer("rms_normalization", "final_normalization"));
    }),
  );
}

/** Keras's kernels: query, key, value [heads, in, head_dim]; output [heads, head_dim, out]; others [in, out]. */
function kernel({ target, heads, inFeatures, outFeatures }: LinearModule) {
  if (!isAttention(target)) {
    const transposed = { batch: 1, rows: inFeatures, columns: outFeatures };
    return { shape: [inFeatures, outFeatures], transposed };
  }
  if (target === "o_proj") {
    const transposed = { batch: 1, rows: inFeatures, columns: outFeatures };
    return { shape: [heads, inFeatures / heads, outFeatures], transposed };
  }
  const columns = outFeatures / heads;
  return {
    shape: [heads, inFeatures, columns],
    transposed: { batch: heads, rows: inFeatures, columns },
  };
}
