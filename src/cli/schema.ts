import type { Command } from "commander";
import { z } from "zod";
import { finetuneSchema } from "../recipes/finetuneConfig.js";
import { schemaCommand } from "./command.js";
import { trainingEngineSchema } from "./engine.js";
import { printJson } from "./output.js";
import { trackingSchema } from "./tracking.js";

/** What `facet finetune --config` takes: the run, the engine that it is computed with, and where its numbers go. */
export const finetuneFileSchema = z.strictObject({
  ...finetuneSchema.shape,
  ...trainingEngineSchema.shape,
  ...trackingSchema.shape,
});

export const schemaOfCommand = (): Command =>
  schemaCommand(
    {
      name: "schema",
      description: "Write the JSON Schema of finetune's configuration file, for editors",
      schema: z.strictObject({}),
      notes: [
        'In Visual Studio Code with the YAML extension, a file that begins with "# yaml-language-server: $schema=finetune.schema.json" is completed and checked as it is written.',
        "--json prints the same: the schema is JSON.",
      ],
      examples: ["facet schema > finetune.schema.json"],
    },
    async () => printJson(finetuneJsonSchema()),
  );

/** JSON Schema (draft 2020-12). Nothing is required of the file, because flags may give the rest. */
export function finetuneJsonSchema(): Record<string, unknown> {
  const { required: _, ...schema } = z.toJSONSchema(finetuneFileSchema, { io: "input" });
  return { title: "Configuration of facet finetune", ...schema };
}
