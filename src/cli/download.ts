import { existsSync } from "node:fs";
import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { locateModel } from "../hub/locate.js";
import { locateData } from "../hub/locateData.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { print, printJson } from "./output.js";

const schema = z.strictObject({
  name: z
    .string()
    .describe(
      "preset, org/name or hf://org/name[@revision][/file] of Hugging Face, kaggle://owner/model/framework/variation/version, or https:// address",
    ),
  data: z.boolean().default(false).describe("the name is that of a data set"),
});

export const downloadCommand = (): Command =>
  schemaCommand(
    {
      name: "download",
      description: "Download a model or a data set, and print where it is",
      schema,
      argument: "name",
      notes: [
        "Every command that takes a model or data downloads it when it is first used; this one does only that. What is on this machine already is not downloaded again, and a download that was stopped or killed is continued. Checksums are verified. A gated model needs its licence accepted and a token: HF_TOKEN or the login of Hugging Face's own tools; KAGGLE_API_TOKEN or kaggle.json.",
        '--json prints {"name", "paths"}: a model\'s folder or file, or the files of a data set.',
      ],
      examples: [
        "facet download gemma_2b_en",
        "facet download hf://google/gemma-3-270m-it@main",
        "facet download kaggle://keras/gemma/keras/gemma_2b_en/3",
        "facet download --data databricks/databricks-dolly-15k",
      ],
    },
    async ({ name, data }, json) => {
      const isData = data || name.startsWith("hf://datasets/");
      const paths = await withDownloads(async (hooks) =>
        isData ? await locateData(name, hooks) : [(await locateModel(name, hooks)).path],
      );
      // Of a path that path comes back, whether something is there or not.
      const missing = paths.find((path) => !existsSync(path));
      if (missing !== undefined) throw new FacetError(`There is no ${missing}.`);
      if (json) printJson({ name, paths });
      else print(paths.join("\n"));
    },
  );
