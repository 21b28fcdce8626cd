import type { Command } from "commander";
import { z } from "zod";
import { exportAdapter, exportSchema } from "../recipes/exportAdapter.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { engineSchema, openEngine } from "./engine.js";
import { printWritten, proofJson, proofNote } from "./proofView.js";

const { model, verify } = exportSchema.shape;
const schema = z.strictObject({
  adapter: z
    .string()
    .describe("adapter of another tool: PEFT or MLX folder, Keras .lora.h5 or GGUF file"),
  model,
  out: z.string().describe("PEFT folder to write; must not exist yet"),
  verify,
  ...engineSchema.shape,
});

export const importCommand = (): Command =>
  schemaCommand(
    {
      name: "import",
      description: "Turn an adapter of another tool into a PEFT folder, and prove it",
      schema,
      notes: [
        "Every matrix must fit a layer of the base model. The folder has one rank, scale 1 and an integer alpha, which every reader of PEFT understands.",
        proofNote,
        proofJson,
      ],
      examples: [
        "facet import --adapter tutorial.lora.h5 --model gemma_2b_en --out tutorial",
        "facet import --adapter first-lora.gguf --model facet_nano_en --out first",
      ],
    },
    async ({ threads, profile, ...options }, json) => {
      const engine = await openEngine({ threads, profile });
      const written = await withDownloads((download) =>
        exportAdapter({ ...options, to: "peft" }, engine, download),
      );
      printWritten(written, json);
    },
  );
