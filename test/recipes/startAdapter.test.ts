import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openModel } from "../../src/hub/openModel.js";
import { changesNothing, createAdapter } from "../../src/lora/adapter.js";
import type { Prepared } from "../../src/recipes/prepare.js";
import { startAdapter } from "../../src/recipes/startAdapter.js";
import { saveCheckpoint } from "../../src/training/checkpoints.js";
import { startState } from "../../src/training/loop.js";
import { sgd } from "../../src/training/optimizers/sgd.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const pissa = {
  rank: 2,
  alpha: 2,
  targets: ["v_proj"],
  layout: "standard",
  start: "pissa",
} as const;

/** What a run has of itself when it begins or goes on: a new adapter, and its folder. */
async function begun(folder: string, config: Parameters<typeof createAdapter>[0] = pissa) {
  const model = await openModel(tinyModelFolder());
  const adapter = createAdapter(config, tiny.modules, 0);
  return startAdapter(folder, { adapter, model } as Prepared, tiny.engine);
}

test("PiSSA's start is kept in the run's folder, for a run that goes on with a checkpoint or without", async () => {
  const folder = temporaryFolder();
  const first = await begun(folder);
  expect(changesNothing(first)).toBe(true);
  const again = await begun(folder);
  expect(again.start).toEqual(first.start);
  expect(again.parameters.values).toEqual(first.parameters.values);

  const { parameters } = first;
  await saveCheckpoint(join(folder, "checkpoints"), parameters, sgd([]), startState, 1);
  rmSync(join(folder, "start.safetensors"));
  await expect(begun(folder)).rejects.toThrow("has lost start.safetensors");
});

test("a run that goes on takes DoRA's magnitudes from its checkpoint", async () => {
  const folder = temporaryFolder();
  const dora = { ...pissa, start: "random", dora: true } as const;
  const first = await begun(folder, dora);
  const magnitudes = [...first.magnitudes!.values()];
  expect(magnitudes.every((lengths) => lengths.every((length) => length > 0))).toBe(true);
  await saveCheckpoint(join(folder, "checkpoints"), first.parameters, sgd([]), startState, 1);
  const resumed = await begun(folder, dora);
  expect([...resumed.magnitudes!.values()].flatMap((m) => [...m]).some(Boolean)).toBe(false);
});

test.each([
  ["DoRA needs", { ...pissa, start: "random", dora: true } as const],
  ["Training the model's own tensors needs", undefined],
])("%s weights in floating point", async (what, config) => {
  const model = await openModel(tinyModelFolder(), { weights: "int8", cache: temporaryFolder() });
  const norm = { name: "model.norm.weight", shape: [64] };
  const adapter = config
    ? createAdapter(config, tiny.modules, 0)
    : createAdapter({ ...pissa, start: "random" }, tiny.modules, 0, [norm]);
  await expect(
    startAdapter(temporaryFolder(), { adapter, model } as Prepared, tiny.engine),
  ).rejects.toThrow(`${what} weights in floating point, not of 8 or 4 bits.`);
});
