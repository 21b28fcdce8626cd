import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { linearCombination } from "../lora/arithmetic.js";
import { openProducts } from "../lora/denseProducts.js";
import type { Reduced } from "../lora/singularValues.js";
import { ties } from "../lora/ties.js";
import { newPlace, readTerms, type Terms, writeResult } from "../recipes/adapterTerms.js";
import { keptShare, printResult, resultJson, resultSchema } from "./adapterResult.js";
import { schemaCommand } from "./command.js";
import { engineSchema, openEngine } from "./engine.js";
import { openProgress } from "./progress.js";

const schema = z.strictObject({
  adapters: z
    .array(z.string())
    .min(2)
    .describe("adapters to merge, each as path or path:weight (weight 1 where none is given)"),
  method: z
    .enum(["ties", "linear"])
    .default("ties")
    .describe("how values of several adapters become one"),
  density: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("for ties: share of the largest values of each update that counts (default: 0.2)"),
  rank: z
    .int()
    .positive()
    .optional()
    .describe("for ties: rank of the result (default: the largest rank of the adapters)"),
  ...resultSchema.shape,
  threads: engineSchema.shape.threads,
});
type Options = z.output<typeof schema>;

export const adapterMergeCommand = (): Command =>
  schemaCommand(
    {
      name: "merge",
      description: "Merge adapters into one of no higher rank",
      schema,
      argument: "adapters",
      notes: [
        "ties: small values of each update are dropped, each place elects a sign, and the values of that sign are averaged (arXiv:2306.01708); the result is then brought to its rank. linear: A and B are added each by themselves, for adapters of one rank that were trained from the same start. For an exact sum, use facet adapter add; to merge an adapter into its model, facet export --to merged.",
        resultJson,
      ],
      examples: [
        "facet adapter merge runs/french runs/maths --out both",
        "facet adapter merge runs/french runs/maths:0.5 --density 0.5 --rank 16 --out both",
        "facet adapter merge runs/one:0.5 runs/two:0.5 --method linear --out middle",
      ],
    },
    async (options, json) => {
      newPlace(options.out);
      for (const flag of ["density", "rank"] as const) {
        if (options.method === "linear" && options[flag] !== undefined) {
          throw new FacetError(`--${flag} has a meaning only with --method ties.`);
        }
      }
      const terms = await readTerms(options.adapters, options.model);
      if (options.method === "linear") {
        const written = await writeResult(options.out, linearCombination(terms.terms), terms);
        return printResult(written, undefined, json);
      }
      const merged = await mergeByTies(terms, options);
      const matrices = new Map([...merged].map(([path, { lora }]) => [path, lora]));
      const written = await writeResult(options.out, matrices, terms);
      printResult(written, keptShare([...merged.values()]), json);
    },
  );

async function mergeByTies({ terms }: Terms, options: Options): Promise<Map<string, Reduced>> {
  const ranks = terms.flatMap(({ matrices }) => [...matrices.values()].map(({ rank }) => rank));
  const { density = 0.2, rank = Math.max(...ranks) } = options;
  const total = new Set(terms.flatMap(({ matrices }) => [...matrices.keys()])).size;
  const products = await openProducts(await openEngine(options));
  const progress = openProgress("Merging");
  const merged = new Map<string, Reduced>();
  try {
    for await (const { path, reduced } of ties(terms, { density, rank }, products)) {
      merged.set(path, reduced);
      progress.update({ done: merged.size, total, details: ["layers"] });
    }
  } finally {
    progress.stop();
    await products.close();
  }
  return merged;
}
