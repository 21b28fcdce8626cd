import type { FamilyName } from "./family.js";

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
