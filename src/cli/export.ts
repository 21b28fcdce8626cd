import type { Command } from "commander";
import { z } from "zod";
import { exportAdapter, exportSchema } from "../recipes/exportAdapter.js";
import { schemaCommand } from "./command.js";
import { engineSchema, openEngine } from "./engine.js";
import { shown } from "./finetuneView.js";
import { facts } from "./layout.js";
import { notice, outputWidth, print, printJson } from "./output.js";

const schema = z.strictObject({ ...exportSchema.shape, ...engineSchema.shape });

export const exportCommand = (): Command =>
  schemaCommand(
    {
      name: "export",
      description: "Write an adapter for other tools, or a model with it merged, and prove it",
      schema,
      notes: [
        "What was written is read back, and its logits on fixed prompts are compared with the live model's. Beyond the tolerance of the type the exit code is 1. --no-verify skips this: then nothing says that other tools will compute what Facet computes.",
        '--json prints {"out", "type", "proof": {"largestDifference", "relativeError", "tolerance", "positions", "holds"} or null}.',
      ],
      examples: [
        "facet export --adapter runs/first --to gguf --out first-lora.gguf",
        "facet export --adapter runs/first --to merged --out first-model --outtype bf16",
        "facet export --adapter tutorial.lora.h5 --model gemma_2b_en --to peft --out peft",
      ],
    },
    async ({ threads, prepackWeights, ...options }, json) => {
      const engine = await openEngine({ threads, prepackWeights });
      const { out, type, proof } = await exportAdapter(options, engine);
      if (json) printJson({ out, type, proof: proof ?? null });
      else {
        const lines: [string, string][] = [["Written", `${shown(out)}, ${type}`]];
        if (proof !== undefined) {
          const { largestDifference, relativeError, tolerance, positions } = proof;
          lines.push([
            "Read back",
            `logits at ${positions} positions differ by ${relativeError.toExponential(1)} of their spread (allowed: ${tolerance}), at most by ${largestDifference.toExponential(1)}`,
          ]);
        }
        print(facts(lines, outputWidth()));
      }
      if (proof === undefined) notice("Not verified: the result was not read back.");
      else if (!proof.holds) {
        notice("The result does not compute what the live model computes. Do not use it.");
        process.exitCode = 1;
      }
    },
  );
