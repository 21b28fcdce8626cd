import type { Command } from "commander";
import { z } from "zod";
import { exportAdapter, exportSchema } from "../recipes/exportAdapter.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { engineSchema, openEngine } from "./engine.js";
import { printWritten, proofJson, proofNote } from "./proofView.js";

const schema = z.strictObject({ ...exportSchema.shape, ...engineSchema.shape });

export const exportCommand = (): Command =>
  schemaCommand(
    {
      name: "export",
      description: "Write an adapter for other tools, or a model with it merged, and prove it",
      schema,
      notes: [proofNote, proofJson],
      examples: [
        "facet export --adapter runs/first --to gguf --out first-lora.gguf",
        "facet export --adapter runs/first --to merged --out first-model --outtype bf16",
        "facet export --adapter runs/first --to ollama --out first-ollama --outtype q8_0",
      ],
    },
    async ({ threads, profile, ...options }, json) => {
      const engine = await openEngine({ threads, profile });
      const written = await withDownloads((download) => exportAdapter(options, engine, download));
      printWritten(written, json);
    },
  );
