import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { describeModel } from "../hub/openModel.js";
import { loraConfigOf } from "../lora/settings.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { finetuneSchema, modelField } from "../recipes/finetuneConfig.js";
import { renderSummary, type Summary, summarize } from "../recipes/summary.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { flagOf } from "./optionsFromSchema.js";
import { outputWidth, print, printJson } from "./output.js";

const { rank, alpha, layout, modules, layers, rankPattern } = finetuneSchema.shape;
const schema = z.strictObject({
  model: modelField,
  rank: rank.unwrap().optional().describe("count a LoRA adapter of this rank too"),
  alpha,
  layout: layout.unwrap().optional().describe("variables of the adapter (default: keras)"),
  modules: modules
    .unwrap()
    .optional()
    .describe("layers that get an adapter (default: q_proj, v_proj)"),
  layers,
  rankPattern: rankPattern.unwrap().optional().describe(rankPattern.description!),
});

export const summaryCommand = (): Command =>
  schemaCommand(
    {
      name: "summary",
      description: "Show a model's layers and parameters, with and without a LoRA adapter",
      schema,
      notes: [
        "A preset is counted from its shape; its weights need not be on this machine.",
        '--json prints {"model", "total_parameters", "trainable_parameters", "non_trainable_parameters", "lora": null or {"rank", "alpha", "layout", "modules"}, "layers": [{"name", "output_shape", "parameters", "trainable_parameters"}]}.',
      ],
      examples: [
        "facet summary --model gemma_2b_en",
        "facet summary --model gemma_2b_en --rank 4 --json",
        "facet summary --model ./my-model --rank 8 --layout standard --modules q_proj,o_proj",
      ],
    },
    async (options, json) => {
      const { name, config } = await withDownloads((hooks) => describeModel(options.model, hooks));
      const summary = summarize(name, config, adapterOf(options, config));
      if (json) printJson(toJson(summary));
      else print(renderSummary(summary, outputWidth()));
    },
  );

function adapterOf({ model: _, rank, ...settings }: z.output<typeof schema>, model: GemmaConfig) {
  if (rank === undefined) {
    const given = Object.entries(settings).find(([, value]) => value);
    if (given === undefined) return undefined;
    throw new FacetError(`${flagOf(given[0])} describes a LoRA adapter, so it needs --rank.`);
  }
  const defaults = finetuneSchema.shape;
  const complete = {
    ...settings,
    rank,
    layout: settings.layout ?? defaults.layout.parse(undefined),
    modules: settings.modules ?? defaults.modules.parse(undefined),
  };
  return { config: loraConfigOf(complete, gemmaModules(model)) };
}

const toJson = ({ name, total, trainable, nonTrainable, lora, layers }: Summary) => ({
  model: name,
  total_parameters: total,
  trainable_parameters: trainable,
  non_trainable_parameters: nonTrainable,
  lora: lora
    ? { rank: lora.rank, alpha: lora.alpha, layout: lora.layout, modules: lora.targets }
    : null,
  layers: layers.map((layer) => ({
    name: layer.name,
    output_shape: layer.outputShape,
    parameters: layer.parameters,
    trainable_parameters: layer.trainable,
  })),
});
