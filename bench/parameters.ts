import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { presets } from "../src/hub/presets.js";
import { loraVariables } from "../src/lora/variables.js";
import { parameterCount } from "../src/models/gemma/model.js";
import { gemmaModules } from "../src/models/gemma/weights.js";
import { sharedPaths } from "./places.js";
import type { Row } from "./row.js";
import { statistics } from "./statistics.js";

interface Counts {
  readonly total: number;
  readonly trainable: number;
}

const published: Readonly<Record<string, Counts>> = {
  gemma_2b_en: { total: 2_506_172_416, trainable: 1_363_968 },
};

const factsSchema = z.object({
  presets: z.record(
    z.string(),
    z.object({ total_params: z.number(), lora_rank4: z.object({ trainable: z.number() }) }),
  ),
});

/** What Keras counts: its facts where they are at hand, else the numbers its tutorial prints. */
function kerasCounts(): Readonly<Record<string, Counts>> {
  if (!existsSync(sharedPaths.kerasFacts)) return published;
  const json: unknown = JSON.parse(readFileSync(sharedPaths.kerasFacts, "utf8"));
  const facts = Object.entries(factsSchema.parse(json).presets).map(
    ([name, { total_params: total, lora_rank4 }]) =>
      [name, { total, trainable: lora_rank4.trainable }] as const,
  );
  return { ...Object.fromEntries(facts), ...published };
}

/** Parameters of every preset, and what LoRA of rank 4 in Keras's layout makes trainable. */
export function parameterRows(): Row[] {
  const keras = kerasCounts();
  return Object.entries(presets).map(([name, { config }]) => {
    const total = parameterCount(config);
    const lora = { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout: "keras" } as const;
    const trainable = loraVariables(lora, gemmaModules(config)).reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    );
    const wanted = keras[name.replace("_instruct", "")];
    return {
      name: `parameters ${name}`,
      unit: "parameters",
      ...statistics([total]),
      ratio: { value: trainable / total, of: "all (trainable at rank 4)" },
      facts: { trainable, ...(wanted && { keras: `${wanted.total}, ${wanted.trainable}` }) },
      ...(wanted && { correct: wanted.total === total && wanted.trainable === trainable }),
    };
  });
}
