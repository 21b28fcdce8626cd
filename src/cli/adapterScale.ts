import type { Command } from "commander";
import { z } from "zod";
import { weightedSum } from "../lora/arithmetic.js";
import { newPlace, readTerms, writeResult } from "../recipes/adapterTerms.js";
import { printResult, resultJson, resultSchema } from "./adapterResult.js";
import { schemaCommand } from "./command.js";

const schema = z.strictObject({
  adapter: z.string().describe("adapter to scale"),
  by: z.number().describe("factor; below 0 reverses what the adapter does"),
  ...resultSchema.shape,
});

export const adapterScaleCommand = (): Command =>
  schemaCommand(
    {
      name: "scale",
      description: "Make an adapter stronger or weaker",
      schema,
      argument: "adapter",
      notes: ["The rank stays; the factor goes into B.", resultJson],
      examples: ["facet adapter scale runs/first --by 0.5 --out half"],
    },
    async ({ adapter, by, out, model }, json) => {
      newPlace(out);
      const { terms, ...base } = await readTerms([adapter], model);
      const scaled = weightedSum(terms.map((term) => ({ ...term, weight: term.weight * by })));
      printResult(await writeResult(out, scaled, base), undefined, json);
    },
  );
