import { systemInFirstTurn, withoutSystem } from "./chatTemplates.js";

/** What one generation of Gemma has that another has not, as data. Sizes and constants are in GemmaConfig. */
export interface GemmaFamily {
  /** The class that `architectures` of config.json names. */
  readonly architecture: string;
  /** What the names of KerasHub's classes begin with. */
  readonly kerasClass: "Gemma" | "Gemma3";
  /** What a checkpoint calls a block's norms of hidden states. Absent: no norm in this place. */
  readonly norms: {
    readonly preAttention: string;
    readonly postAttention?: string;
    readonly preFeedForward: string;
    readonly postFeedForward?: string;
  };
  /** What a checkpoint calls a block's norms of each query and key head, if it has them. */
  readonly headNorms?: { readonly query: string; readonly key: string };
  /** Jinja source of the instruction-tuned models' chat template. */
  readonly chatTemplate: string;
  /** Every how many layers one sees the whole sequence, where config.json does not list them. */
  readonly globalEvery: number;
}

const sandwichNorms = {
  preAttention: "input_layernorm",
  postAttention: "post_attention_layernorm",
  preFeedForward: "pre_feedforward_layernorm",
  postFeedForward: "post_feedforward_layernorm",
} as const;

/** The families by `model_type` of config.json. */
export const families = {
  gemma: {
    architecture: "GemmaForCausalLM",
    kerasClass: "Gemma",
    // In Gemma 1 the norm of the second name stands before the feed-forward layer.
    norms: { preAttention: "input_layernorm", preFeedForward: "post_attention_layernorm" },
    chatTemplate: withoutSystem,
    globalEvery: 1,
  },
  gemma2: {
    architecture: "Gemma2ForCausalLM",
    kerasClass: "Gemma",
    norms: sandwichNorms,
    chatTemplate: withoutSystem,
    globalEvery: 2,
  },
  gemma3_text: {
    architecture: "Gemma3ForCausalLM",
    kerasClass: "Gemma3",
    norms: sandwichNorms,
    headNorms: { query: "self_attn.q_norm", key: "self_attn.k_norm" },
    chatTemplate: systemInFirstTurn,
    globalEvery: 6,
  },
} as const satisfies Record<string, GemmaFamily>;

export type FamilyName = keyof typeof families;

/** The family of a config; Gemma 1 where it names none. */
export const familyOf = ({ family = "gemma" }: { family?: FamilyName }): GemmaFamily =>
  families[family];

/** More layers than any Gemma has: a file that claims more must not make Facet list them all. */
export const MAX_LAYERS = 1000;

/** Which of `numLayers` layers see a window only, where every `globalEvery`-th sees everything. */
export const localLayers = (numLayers: number, globalEvery: number): boolean[] =>
  Array.from({ length: numLayers }, (_, layer) => (layer + 1) % globalEvery !== 0);
