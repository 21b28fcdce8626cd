import type { GemmaConfig } from "./config.js";
import { type FamilyName, familyOf } from "./family.js";
import { gemmaWeightSpecs } from "./weights.js";

/** What `general.architecture` of a GGUF file says for each family. */
export const ggufArchitectures = {
  gemma: "gemma",
  gemma2: "gemma2",
  gemma3_text: "gemma3",
} as const satisfies Record<FamilyName, string>;

/** What GGUF calls a block's linear layers, by their path inside the block in the Hugging Face model. */
const linearNames = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
} as const;

const huggingFaceNames = Object.fromEntries(
  Object.entries(linearNames).map(([path, name]) => [name, path]),
);

/** GGUF's name of a linear layer without its ".weight", for example `blk.0.attn_q`; undefined if there is none. */
export function toGgufModule(path: string): string | undefined {
  const [, layer, rest] = /^model(?:\.\w+)*\.layers\.(\d+)\.(.+)$/.exec(path) ?? [];
  if (rest === undefined || !Object.hasOwn(linearNames, rest)) return undefined;
  return `blk.${layer}.${linearNames[rest as keyof typeof linearNames]}`;
}

/** The path in the Hugging Face model of what GGUF calls by this name; undefined for what is no linear layer. */
export function fromGgufModule(name: string): string | undefined {
  const [, layer, rest] = /^blk\.(\d+)\.(\w+)$/.exec(name) ?? [];
  if (rest === undefined || !Object.hasOwn(huggingFaceNames, rest)) return undefined;
  return `model.layers.${layer}.${huggingFaceNames[rest]}`;
}

/** A tensor's name in a GGUF file. */
export interface GgufName {
  readonly gguf: string;
  /** Gemma's norms scale by 1 + weight, and GGUF holds that sum. */
  readonly holdsSum: boolean;
}

/** GGUF's name of every tensor of a model, by its name in a Hugging Face checkpoint, in the checkpoint's order. */
export function ggufTensorNames(config: GemmaConfig): Map<string, GgufName> {
  const { norms, headNorms } = familyOf(config);
  const blockNorms = new Map<string | undefined, string>([
    [norms.preAttention, "attn_norm"],
    [norms.postAttention, "post_attention_norm"],
    [norms.preFeedForward, "ffn_norm"],
    [norms.postFeedForward, "post_ffw_norm"],
    [headNorms?.query, "attn_q_norm"],
    [headNorms?.key, "attn_k_norm"],
  ]);
  const name = (path: string): GgufName => {
    if (path.endsWith(".embed_tokens")) return { gguf: "token_embd", holdsSum: false };
    const module = toGgufModule(path);
    if (module !== undefined) return { gguf: module, holdsSum: false };
    const [, layer, rest] = /\.layers\.(\d+)\.(.+)$/.exec(path) ?? [];
    if (layer === undefined) return { gguf: "output_norm", holdsSum: true };
    return { gguf: `blk.${layer}.${blockNorms.get(rest)!}`, holdsSum: true };
  };
  return new Map(
    gemmaWeightSpecs(config).map(({ name: path }) => {
      const { gguf, holdsSum } = name(path.replace(/\.weight$/, ""));
      return [path, { gguf: `${gguf}.weight`, holdsSum }];
    }),
  );
}
