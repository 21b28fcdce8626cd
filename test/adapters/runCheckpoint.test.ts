import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { readAdapter } from "../../src/adapters/read.js";
import { toPeft } from "../../src/lora/peft.js";
import { saveCheckpoint } from "../../src/training/checkpoints.js";
import { startState } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { kerasAdapter } from "../support/kerasFit.js";
import { temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

/** A run that was stopped after a checkpoint of this adapter, and that checkpoint. */
async function stoppedRun(adapter = tiny.adapter("qv"), config: object = {}) {
  const run = temporaryFolder();
  const { rank, alpha, targets: modules, layout } = adapter.config;
  const settings = { config: { rank, alpha, modules, layout, ...config } };
  writeFileSync(join(run, "run.json"), JSON.stringify(settings));
  const { parameters } = adapter;
  const optimizer = adamW(parameters.slots, {});
  const place = join(run, "checkpoints");
  return { run, checkpoint: await saveCheckpoint(place, parameters, optimizer, startState, 2) };
}

describe("a checkpoint of a run", () => {
  test.each([
    ["standard", tiny.adapter("all")],
    ["keras", kerasAdapter("after_fit_batch2")],
  ])("is the adapter as it was, in the run's layout: %s", async (layout, adapter) => {
    const { checkpoint } = await stoppedRun(adapter);
    const loaded = await loadAdapter(checkpoint, tiny.modules);
    expect(loaded.config.layout).toBe(layout);
    expect(loaded.parameters).toEqual(adapter.parameters);
    expect(toPeft(loaded)).toEqual(toPeft(adapter));
    const { matrices } = await readAdapter(checkpoint, tiny.modules);
    expect(matrices).toEqual(toPeft(adapter).matrices);
  });

  test("has alpha = rank where the run does not say", async () => {
    const { checkpoint } = await stoppedRun(tiny.adapter("qv"), { alpha: undefined });
    const { config } = await loadAdapter(checkpoint, tiny.modules);
    expect(config.alpha).toBe(config.rank);
  });

  test("of a run that claims a rank no adapter has is refused before there is room for it", async () => {
    const { checkpoint } = await stoppedRun(tiny.adapter("qv"), { rank: 1e12 });
    await expect(loadAdapter(checkpoint, tiny.modules)).rejects.toThrow(
      /rank must be a whole number/,
    );
  });

  test("is refused for another model, and of another kind of run", async () => {
    const { checkpoint } = await stoppedRun();
    const smaller = tiny.modules.map((module) => ({ ...module, inFeatures: 32 }));
    await expect(loadAdapter(checkpoint, smaller)).rejects.toThrow(
      /q_proj\.lora_a is \[4,64\], expected \[4,32\]\. The checkpoint is for another model/,
    );
    const fewer = tiny.modules.filter(({ layer }) => layer < 2);
    await expect(loadAdapter(checkpoint, fewer)).rejects.toThrow(
      /has 12 variables, this model's adapter 8/,
    );
    const more = [
      ...tiny.modules,
      { ...tiny.modules[0]!, path: "model.layers.3.self_attn.q_proj" },
    ];
    await expect(loadAdapter(checkpoint, more)).rejects.toThrow(/layers\.3.*lora_a is missing/);
    await expect(readAdapter(checkpoint)).rejects.toThrow(/Give the base model too/);
    const pretrained = await stoppedRun(tiny.adapter("qv"), { rank: undefined });
    await expect(loadAdapter(pretrained.checkpoint, tiny.modules)).rejects.toThrow(
      /holds no adapter: .*run\.json is not that of a fine-tuning run/,
    );
  });
});

test("a run that has not finished is no adapter, and the message says what is", async () => {
  const { run } = await stoppedRun();
  mkdirSync(join(run, "adapter"));
  await expect(loadAdapter(run, tiny.modules)).rejects.toThrow(
    /has not finished, so it has no adapter yet\. Continue it .* or name one of its checkpoints/,
  );
});
