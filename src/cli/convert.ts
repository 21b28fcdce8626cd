import type { Command } from "commander";
import { z } from "zod";
import { convertModel, convertSchema } from "../recipes/convertModel.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { engineSchema, openEngine } from "./engine.js";
import { printWritten, proofJson, proofNote } from "./proofView.js";

const schema = z.strictObject({ ...convertSchema.shape, ...engineSchema.shape });

export const convertCommand = (): Command =>
  schemaCommand(
    {
      name: "convert",
      description:
        "Write a model as a Hugging Face folder, Keras preset or GGUF file, and prove it",
      schema,
      notes: [proofNote, proofJson],
      examples: [
        "facet convert --model gemma-2-2b-it.gguf --to hf --out gemma-2-2b-it --outtype bf16",
        "facet convert --model facet_nano_en --to gguf --out nano.gguf --outtype q8_0",
        "facet convert --model my-model --to keras --out my-preset",
      ],
    },
    async ({ threads, profile, ...options }, json) => {
      const engine = await openEngine({ threads, profile });
      const written = await withDownloads((download) => convertModel(options, engine, download));
      printWritten(written, json);
    },
  );
