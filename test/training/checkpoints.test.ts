import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { allocateParameters, type Parameters } from "../../src/engines/parameters.js";
import { FacetError } from "../../src/errors.js";
import { createRandom } from "../../src/random.js";
import {
  latestCheckpoint,
  loadCheckpoint,
  saveCheckpoint,
} from "../../src/training/checkpoints.js";
import type { LoopState } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import type { Optimizer } from "../../src/training/optimizers/optimizer.js";
import { temporaryFolder } from "../support/modelFolder.js";

const variables = [
  { name: "a.lora_a", shape: [2, 3] },
  { name: "a.lora_b", shape: [4] },
];

const buffersOf = ({ state }: Optimizer) => [...state.values()].map(({ data }) => data);

/** Parameters and an optimizer full of numbers that only an exact copy repeats. */
function trained(
  seed: number,
  changes = variables,
): { parameters: Parameters; optimizer: Optimizer } {
  const parameters = allocateParameters(changes);
  const optimizer = adamW(parameters.slots);
  const random = createRandom({ seed, stream: "init" });
  for (const buffer of [parameters.values, ...buffersOf(optimizer)]) {
    buffer.forEach((_, i) => {
      buffer[i] = random.uniform() / 3;
    });
  }
  optimizer.step = seed;
  return { parameters, optimizer };
}

const stateAt = (step: number): LoopState => ({
  step,
  epoch: 2,
  index: 5,
  totals: { weightedLoss: 0.1 + 0.2, rows: 40, correct: 12.25, counted: 333 },
});

const save = (folder: string, step = 7, keep = 3) => {
  const { parameters, optimizer } = trained(step);
  return saveCheckpoint(folder, parameters, optimizer, stateAt(step), keep);
};

describe("a checkpoint", () => {
  test("gives back every bit: parameters, moments, the optimizer's step and the loop's state", async () => {
    const folder = temporaryFolder();
    const path = await save(folder);
    const fresh = trained(1);
    const state = loadCheckpoint(path, fresh.parameters, fresh.optimizer);
    const saved = trained(7);
    expect(state).toEqual(stateAt(7));
    expect(fresh.parameters.values).toEqual(saved.parameters.values);
    expect(fresh.optimizer.state).toEqual(saved.optimizer.state);
    expect(fresh.optimizer.step).toBe(7);
  });

  test("is a folder named for its step; the newest is found by number, not by spelling", async () => {
    const folder = temporaryFolder();
    expect(latestCheckpoint(folder)).toBeUndefined();
    expect(latestCheckpoint(join(folder, "absent"))).toBeUndefined();
    expect(await save(folder, 999_999)).toBe(join(folder, "step-999999"));
    expect(await save(folder, 1_000_000)).toBe(join(folder, "step-1000000"));
    expect(await save(folder, 20)).toBe(join(folder, "step-000020"));
    mkdirSync(join(folder, "step-99999999.partial"));
    expect(latestCheckpoint(folder)).toBe(join(folder, "step-1000000"));
  });

  test("replaces older ones beyond the number kept, and nothing else", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "notes.txt"), "mine");
    for (const step of [1, 2, 3, 4]) await save(folder, step, 2);
    expect(readdirSync(folder).sort()).toEqual(["notes.txt", "step-000003", "step-000004"]);
  });

  test("may be written again for the same step", async () => {
    const folder = temporaryFolder();
    await save(folder, 5);
    const { parameters, optimizer } = trained(11);
    const path = await saveCheckpoint(folder, parameters, optimizer, stateAt(5), 3);
    const fresh = trained(1);
    loadCheckpoint(path, fresh.parameters, fresh.optimizer);
    expect(fresh.parameters.values).toEqual(parameters.values);
    expect(readdirSync(folder)).toEqual(["step-000005"]);
  });
});

describe("a checkpoint that does not fit is refused with its path", () => {
  const load = (path: string, into = trained(1)) =>
    loadCheckpoint(path, into.parameters, into.optimizer);

  test("of another optimizer", async () => {
    const path = await save(temporaryFolder());
    const { parameters, optimizer } = trained(1);
    const other = { ...optimizer, name: "sgd", state: new Map() };
    expect(() => loadCheckpoint(path, parameters, other)).toThrow(
      `${path} was written by optimizer adamw, this run uses sgd.`,
    );
  });

  test.each([
    [
      "another shape",
      [{ name: "a.lora_a", shape: [3, 2] }, variables[1]!],
      /parameters\.safetensors: a\.lora_a is F32 \[2, 3\], expected F32 \[3, 2\]/,
    ],
    [
      "another name",
      [{ name: "b.lora_a", shape: [2, 3] }, variables[1]!],
      /b\.lora_a is missing, expected F32 \[2, 3\]\. Resume with the model and adapter settings/,
    ],
    [
      "fewer variables",
      [variables[0]!],
      /parameters\.safetensors holds 2 variables, this run has 1/,
    ],
  ])("of a run with %s", async (_what, changes, message) => {
    const path = await save(temporaryFolder());
    expect(() => load(path, trained(1, changes))).toThrow(message);
    expect(() => load(path, trained(1, changes))).toThrow(FacetError);
  });

  test.each([
    ["cut off", (path: string) => writeFileSync(path, readFileSync(path).subarray(0, -4))],
    ["gone", (path: string) => rmSync(path)],
    ["garbage", (path: string) => writeFileSync(path, "garbage in, error out")],
  ])("with a file that is %s", async (_what, spoil) => {
    for (const file of ["parameters.safetensors", "optimizer.safetensors", "state.json"]) {
      const path = await save(temporaryFolder());
      spoil(join(path, file));
      expect(() => load(path)).toThrow(FacetError);
      expect(() => load(path)).toThrow(join(path, file));
    }
  });

  test("with moments of other variables", async () => {
    const path = await save(temporaryFolder());
    const file = (name: string) => join(path, `${name}.safetensors`);
    copyFileSync(file("parameters"), file("optimizer"));
    expect(() => load(path)).toThrow(/optimizer\.safetensors: m\/a\.lora_a is missing/);
  });

  test.each([
    ["a negative step", { step: -1 }, /step/],
    ["a field too many", { colour: 1 }, /colour/],
    ["a step that is text", { step: "7" }, /step/],
  ])("with a loop state of %s", async (_what, changes, message) => {
    const path = await save(temporaryFolder());
    const file = join(path, "state.json");
    const state = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...state, loop: { ...state.loop, ...changes } }));
    expect(() => load(path)).toThrow(message);
    expect(() => load(path)).toThrow(FacetError);
  });
});
