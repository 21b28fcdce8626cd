import { Command } from "commander";
import type { z } from "zod";
import { trainingEngineSchema } from "../src/cli/engine.js";
import { addSchemaOptions } from "../src/cli/optionsFromSchema.js";
import { trackingSchema } from "../src/cli/tracking.js";
import { finetuneSchema } from "../src/recipes/finetuneConfig.js";
import { pretrainSchema } from "../src/recipes/pretrainConfig.js";

const schemas: Readonly<Record<string, z.ZodObject>> = {
  finetune: finetuneSchema,
  engine: trainingEngineSchema,
  tracking: trackingSchema,
  pretrain: pretrainSchema,
};

/** A row for each key of a schema: as a flag and in a file, and what --help says of it. */
function optionTable(schema: z.ZodObject): string {
  const { options } = addSchemaOptions(new Command(), schema);
  const rows = options
    .filter((option) => !option.negate)
    .map((option) => [
      `\`${option.flags}\``,
      `\`${option.attributeName()}\``,
      option.description.replaceAll("|", "\\|"),
    ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(["flag", "in a file", "what it is"]),
    line(["---", "---", "---"]),
    ...rows.map(line),
  ].join("\n");
}

/** The page with what stands between `<!-- options: NAME -->` and `<!-- end -->` made anew. */
export const withTables = (page: string): string =>
  page.replace(
    /(<!-- options: (\w+) -->\n).*?(<!-- end -->)/gs,
    (_, start: string, name: string, end: string) =>
      `${start}\n${optionTable(schemas[name]!)}\n\n${end}`,
  );
