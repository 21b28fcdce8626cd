import type { Command } from "commander";
import { z } from "zod";
import { readAdapter } from "../adapters/read.js";
import { storedTensor } from "../formats/safetensors.js";
import { openModel } from "../hub/openModel.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { type AdapterSummary, summarizeAdapter } from "../recipes/adapterSummary.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { facts, table } from "./layout.js";
import { count, notice, outputWidth, plural, print, printJson } from "./output.js";
import { nothingChanges } from "./session.js";

const schema = z.strictObject({
  adapter: z
    .string()
    .describe("adapter to look at: PEFT, MLX or run folder, Keras .lora.h5 or GGUF file"),
  model: z
    .string()
    .optional()
    .describe(
      "base model, to compare the updates with its weights; a Keras .lora.h5 file needs it",
    ),
});

export const adapterShowCommand = (): Command =>
  schemaCommand(
    {
      name: "show",
      description: "Show an adapter's layers, and how large its updates are",
      schema,
      argument: "adapter",
      notes: [
        "‖ΔW‖ and ‖W‖ are Frobenius norms. Of a DoRA adapter ‖ΔW‖ is the part of A and B, before rows are rescaled.",
        '--json prints {"adapter", "base_model", "rank", "parameters", "dora", "changes_nothing", "update_norm", "weight_norm", "modules": [{"module", "rank", "update_norm", "weight_norm"}]}; weight_norm is null without --model.',
      ],
      examples: [
        "facet adapter show runs/first",
        "facet adapter show first-lora.gguf --model gemma_2b_en",
      ],
    },
    async ({ adapter, model }, json) => {
      const base =
        model === undefined ? undefined : await withDownloads((hooks) => openModel(model, hooks));
      const file = await readAdapter(adapter, base && gemmaModules(base.config));
      const summary = summarizeAdapter(
        file,
        base && ((path) => storedTensor(base.weights.get(`${path}.weight`)!)),
      );
      if (json) printJson(toJson(adapter, summary));
      else print(render(summary));
      if (summary.changesNothing) notice(nothingChanges(adapter));
    },
  );

function render(summary: AdapterSummary): string {
  const { baseModel, rank, parameters, dora, modules, updateNorm, weightNorm } = summary;
  const all = { path: "all", rank, updateNorm, weightNorm };
  const share = (update: number, weight: number) => `${((100 * update) / weight).toPrecision(2)} %`;
  const rows = [...modules, all].map((one) => [
    one.path,
    `${one.rank}`,
    one.updateNorm.toPrecision(4),
    ...(one.weightNorm === undefined
      ? []
      : [one.weightNorm.toPrecision(4), share(one.updateNorm, one.weightNorm)]),
  ]);
  const header = ["Layer", "Rank", "‖ΔW‖", ...(weightNorm === undefined ? [] : ["‖W‖", "Share"])];
  const lines: [string, string][] = [
    ["Method", dora ? "DoRA" : "LoRA"],
    ["Base model", baseModel ?? "not named"],
    ["Layers", plural(modules.length, "layer")],
    ["Parameters", count(parameters)],
  ];
  return `${facts(lines, outputWidth())}\n\n${table(header, rows)}`;
}

const toJson = (adapter: string, summary: AdapterSummary) => ({
  adapter,
  base_model: summary.baseModel ?? null,
  rank: summary.rank,
  parameters: summary.parameters,
  dora: summary.dora,
  changes_nothing: summary.changesNothing,
  update_norm: summary.updateNorm,
  weight_norm: summary.weightNorm ?? null,
  modules: summary.modules.map(({ path, rank, updateNorm, weightNorm }) => ({
    module: path,
    rank,
    update_norm: updateNorm,
    weight_norm: weightNorm ?? null,
  })),
});
