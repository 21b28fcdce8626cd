import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { storedTensor } from "../formats/safetensors.js";
import { type OpenModel, openModel } from "../hub/openModel.js";
import { deltaAdapter, otherDifferences } from "../lora/deltaAdapter.js";
import { openProducts } from "../lora/denseProducts.js";
import { type Reduced, reducedRank } from "../lora/singularValues.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { newPlace, readTerms, writeResult } from "../recipes/adapterTerms.js";
import { keptShare, printResult, resultJson, resultSchema } from "./adapterResult.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { engineSchema, openEngine } from "./engine.js";
import { notice, plural } from "./output.js";
import { openProgress } from "./progress.js";

const schema = z.strictObject({
  adapter: z.string().optional().describe("adapter to reduce"),
  rank: z.int().positive().describe("rank of the result"),
  fromModel: z.string().optional().describe("model that a difference starts from: the base"),
  toModel: z.string().optional().describe("model that it leads to, of the same shape"),
  ...resultSchema.shape,
  threads: engineSchema.shape.threads,
});
type Options = z.output<typeof schema>;

export const adapterSvdCommand = (): Command =>
  schemaCommand(
    {
      name: "svd",
      description: "Reduce an adapter's rank, or make an adapter of what two models differ in",
      schema,
      argument: "adapter",
      notes: [
        "Each layer's update is approximated as well as its rank allows, by singular value decomposition: exactly from an adapter, by a randomised method (arXiv:0909.4061) from two models. An adapter holds only what changed in the linear layers of blocks; other tensors that differ are named.",
        resultJson,
      ],
      examples: [
        "facet adapter svd polite-french --rank 8 --out smaller",
        "facet adapter svd --from-model ./gemma-2b --to-model ./gemma-2b-tuned --rank 32 --out tuned-lora",
      ],
    },
    async (options, json) => {
      newPlace(options.out);
      const { adapter, fromModel, toModel, model } = options;
      if (model !== undefined && adapter === undefined) {
        throw new FacetError("--model has a meaning only with an adapter.");
      }
      if (adapter !== undefined && fromModel === undefined && toModel === undefined) {
        await reduce(adapter, options, json);
      } else if (adapter === undefined && fromModel !== undefined && toModel !== undefined) {
        const [from, to] = await withDownloads(
          async (hooks) =>
            [await openModel(fromModel, hooks), await openModel(toModel, hooks)] as const,
        );
        await extract(from, to, options, json);
      } else {
        throw new FacetError("Give an adapter, or both --from-model and --to-model.");
      }
    },
  );

async function reduce(
  adapter: string,
  { rank, out, model }: Options,
  json: boolean,
): Promise<void> {
  const { terms, ...base } = await readTerms([adapter], model);
  const [term] = terms;
  const reduced = new Map<string, Reduced>();
  for (const [path, lora] of term!.matrices) {
    const scaled = { ...lora, scale: lora.scale * term!.weight };
    reduced.set(path, reducedRank(scaled, rank, adapter));
  }
  await write(reduced, base, out, json);
}

async function extract(
  from: OpenModel,
  to: OpenModel,
  options: Options,
  json: boolean,
): Promise<void> {
  const [before, after] = [from, to].map(
    ({ weights }) => new Map([...weights].map(([name, info]) => [name, storedTensor(info)])),
  );
  const modules = gemmaModules(from.config);
  const products = await openProducts(await openEngine(options));
  const progress = openProgress("Decomposing");
  const found = new Map<string, Reduced>();
  try {
    const each = deltaAdapter(before!, after!, modules, options.rank, products);
    for await (const { path, reduced } of each) {
      found.set(path, reduced);
      progress.update({ done: found.size, total: modules.length, details: ["layers"] });
    }
  } finally {
    progress.stop();
    await products.close();
  }
  if (found.size === 0) {
    throw new FacetError(`${from.name} and ${to.name} have the same linear layers.`);
  }
  const others = otherDifferences(before!, after!, modules);
  if (others.length > 0) {
    const names = others.slice(0, 3).join(", ") + (others.length > 3 ? " and others" : "");
    notice(
      `The models also differ in ${plural(others.length, "tensor")} that no adapter holds: ${names}.`,
    );
  }
  await write(found, { modules, baseModel: from.name }, options.out, json);
}

async function write(
  reduced: ReadonlyMap<string, Reduced>,
  base: Parameters<typeof writeResult>[2],
  out: string,
  json: boolean,
): Promise<void> {
  const matrices = new Map([...reduced].map(([path, { lora }]) => [path, lora]));
  printResult(await writeResult(out, matrices, base), keptShare([...reduced.values()]), json);
}
