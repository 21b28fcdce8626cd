import { parameterCount } from "../models/gemma/model.js";
import type { Checkpoint } from "./checkpoint.js";

/** The README.md of a merged model's folder, with the fields that the Hugging Face hub reads at its top. */
export function modelCard(
  { name, config }: Pick<Checkpoint, "name" | "config">,
  merge: {
    /** Name of the base model. */
    readonly base: string;
    /** What was merged into it, for example "rank 4 on q_proj, v_proj". */
    readonly adapter: string;
    readonly dtype: string;
    readonly version: string;
    /** Quantised types that the base's weights were in. */
    readonly quantised: readonly string[];
  },
): string {
  const lost =
    merge.quantised.length === 0
      ? ""
      : `\nThe base weights were quantised before (${merge.quantised.join(", ")}): the adapter is merged into what was left of them, not into the original model's. A merge into the unquantised base is more precise.\n`;
  const parameters = parameterCount(config).toLocaleString("en-US");
  return `---
base_model: ${JSON.stringify(merge.base)}
base_model_relation: finetune
library_name: transformers
pipeline_tag: text-generation
tags: [gemma, lora, facet]
---

# ${name}

${merge.base} (${parameters} parameters) with a LoRA adapter (${merge.adapter}) merged into its weights: W + scale · B A, computed in float32 from the base weights and stored as ${merge.dtype}. Made with Facet ${merge.version}.
${lost}
It opens like any other model folder, for example in Transformers:

\`\`\`python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
\`\`\`

The licence of the base model applies to this one too. For Google's Gemma that is the [Gemma Terms of Use](https://ai.google.dev/gemma/terms).
`;
}
