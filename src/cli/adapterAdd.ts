import type { Command } from "commander";
import { z } from "zod";
import { weightedSum } from "../lora/arithmetic.js";
import { type Reduced, reducedRank } from "../lora/singularValues.js";
import { newPlace, readTerms, writeResult } from "../recipes/adapterTerms.js";
import { keptShare, printResult, resultJson, resultSchema } from "./adapterResult.js";
import { schemaCommand } from "./command.js";

const schema = z.strictObject({
  adapters: z
    .array(z.string())
    .min(1)
    .describe("adapters to add, each as path or path:weight (weight 1 where none is given)"),
  rank: z
    .int()
    .positive()
    .optional()
    .describe("reduce the sum to this rank (default: exact, at the sum of the ranks)"),
  ...resultSchema.shape,
});

export const adapterAddCommand = (): Command =>
  schemaCommand(
    {
      name: "add",
      description: "Add adapters, each times its weight",
      schema,
      argument: "adapters",
      notes: [
        "The sum of the updates is exact; its rank is the sum of the ranks. A negative weight takes an adapter away.",
        resultJson,
      ],
      examples: [
        "facet adapter add runs/french:0.7 runs/polite:0.3 --out polite-french",
        "facet adapter add runs/one runs/two:-1 --rank 8 --out difference",
      ],
    },
    async ({ adapters, rank, out, model }, json) => {
      newPlace(out);
      const terms = await readTerms(adapters, model);
      const sum = weightedSum(terms.terms);
      if (rank === undefined)
        return printResult(await writeResult(out, sum, terms), undefined, json);
      const reduced = new Map<string, Reduced>();
      for (const [path, lora] of sum) reduced.set(path, reducedRank(lora, rank, path));
      const matrices = new Map([...reduced].map(([path, { lora }]) => [path, lora]));
      const written = await writeResult(out, matrices, terms);
      printResult(written, keptShare([...reduced.values()]), json);
    },
  );
