import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCheckpointAdapter } from "../../../src/adapters/runCheckpoint.js";
import { emptyAdapter } from "../../../src/lora/adapter.js";
import { baseModelOf, templateOf } from "../../../src/recipes/adapterOrigin.js";
import { readJsonLines } from "../../../src/recipes/runFolder.js";
import { drawablePoints, type LossPoint } from "../../../src/report/lossPoints.js";
import {
  latestCheckpoint,
  loadCheckpoint,
  saveCheckpoint,
} from "../../../src/training/checkpoints.js";
import { startState } from "../../../src/training/loop.js";
import { adamW } from "../../../src/training/optimizers/adamW.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import { tinyModules, written } from "../tinyModel.js";

const modules = tinyModules("gemma");
const settings = { rank: 2, alpha: 2, layout: "standard" } as const;
const targets = ["q_proj", "v_proj"];
const newAdapter = () => emptyAdapter({ ...settings, targets }, modules);

export const runCheckpoint: FuzzedFormat = {
  name: "run-checkpoint",
  seeds: async () => [
    await written(async (folder) => {
      const run = {
        config: { ...settings, modules: targets, model: "gemma_2b_en" },
        data: { template: "plain" },
      };
      writeFileSync(join(folder, "run.json"), JSON.stringify(run));
      const { parameters } = newAdapter();
      const optimizer = adamW(parameters.slots, {});
      const place = join(folder, "checkpoints");
      mkdirSync(place);
      await saveCheckpoint(place, parameters, optimizer, { ...startState, step: 3 }, 1);
    }),
  ],
  read(folder) {
    const checkpoint = latestCheckpoint(join(folder, "checkpoints"));
    if (checkpoint === undefined) return;
    const { parameters } = newAdapter();
    const optimizer = adamW(parameters.slots, {});
    const { step, totals } = loadCheckpoint(checkpoint, parameters, optimizer);
    expectThat(step >= 0 && totals.rows >= 0, "counts");
    expectThat(typeof baseModelOf(checkpoint) === "string", "a name");
    expectThat(typeof templateOf(checkpoint) === "string", "a name");
    const adapter = runCheckpointAdapter(checkpoint, modules);
    const length = adapter.parameters.slots.reduce((sum, slot) => sum + slot.length, 0);
    expectThat(adapter.parameters.values.length === length, "values for every variable");
  },
};

const metrics = "metrics.jsonl";

export const runMetrics: FuzzedFormat = {
  name: "run-metrics",
  seeds: () => {
    const line = { epoch: 0, loss: 2.5, accuracy: 0.5, target_tokens: 9, learning_rate: 1e-4 };
    const lines = [1, 2, 3].map((step) => `${JSON.stringify({ step, ...line })}\n`);
    return [new Map([[metrics, Buffer.from(lines.join(""))]])];
  },
  read(folder) {
    const points = readJsonLines(join(folder, metrics)) as LossPoint[];
    const drawable = drawablePoints(points, "run").points;
    expectThat(
      drawable.every(({ loss }) => Number.isFinite(loss)),
      "losses",
    );
  },
};
