import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPeft, writePeft } from "../../src/adapters/peft.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { updateOf } from "../support/loraMatrices.js";
import { fixture } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const all = fixture("gemma1_tiny/peft_all");
const adapter = (...args: string[]) => runFacet(["adapter", ...args], folder);
const matricesOf = (name: string) => readPeft(join(folder, name), tiny.modules).matrices;
const qv = () => matricesOf("peft");

/** The largest difference between the updates of an adapter and what they should be. */
function updatesDiffer(
  matrices: ReadonlyMap<string, LoraMatrices>,
  wanted: (path: string, size: number) => Float64Array,
): number {
  return Math.max(
    ...[...matrices].map(([path, lora]) => {
      const update = updateOf(lora);
      return largestDifference(update, wanted(path, update.length));
    }),
  );
}

describe.concurrent("facet adapter show", () => {
  it("prints rank and norms of every layer, compared with the base's weights", async () => {
    const { code, stdout } = await adapter("show", "peft", "--model", "tiny", "--json");
    expect(code).toBe(0);
    const { modules, ...whole } = JSON.parse(stdout);
    expect(whole).toMatchObject({
      ...{ adapter: "peft", base_model: "gemma1_tiny", rank: 4, dora: false },
      ...{ changes_nothing: false, parameters: 3 * (4 * (64 + 64) + 4 * (64 + 16)) },
    });
    const [path, lora] = [...qv()][0]!;
    const first = modules.find(({ module }: { module: string }) => module === path);
    expect(first.update_norm).toBeCloseTo(Math.hypot(...updateOf(lora)), 5);
    expect(first.weight_norm).toBeCloseTo(
      Math.hypot(...tiny.weights.tensor(`${path}.weight`).data),
      4,
    );
    expect(modules).toHaveLength(6);
    const norms = modules.map((one: { update_norm: number }) => one.update_norm);
    expect(whole.update_norm).toBeCloseTo(Math.hypot(...norms), 6);
  });

  it("is a table without --json, and says when an adapter changes nothing", async () => {
    const shown = await adapter("show", "peft", "--model", "tiny");
    expect(shown.stdout).toMatch(/Layer +Rank +‖ΔW‖ +‖W‖ +Share/);
    expect(shown.stdout).toMatch(
      /model\.layers\.2\.self_attn\.v_proj +4 +[\d.]+ +[\d.]+ +[\d.]+ %/,
    );
    expect(shown.stderr).toBe("");
    await adapter("scale", "peft", "--by", "0", "--out", "zero");
    const zero = await adapter("show", "zero");
    expect(zero.stdout).toMatch(/Layer +Rank +‖ΔW‖\n/);
    expect(zero.stderr).toContain("zero changes nothing: its updates are all zero.");
    const used = ["--model", "tiny", "--adapter", "zero", "--prompt", "x", "--max-length", "8"];
    expect((await runFacet(["generate", ...used], folder)).stderr).toContain(
      "zero changes nothing",
    );
  });
});

describe.concurrent("facet adapter add and scale", () => {
  it("give the exact weighted sum", async () => {
    const { code, stdout } = await adapter(
      "add",
      "peft:0.5",
      `${all}:-2`,
      "--out",
      "sum",
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      ...{ out: join(folder, "sum"), rank: 8, layers: 21, kept: null },
    });
    const [one, two] = [qv(), readPeft(all, tiny.modules).matrices];
    const difference = updatesDiffer(matricesOf("sum"), (path, size) => {
      const half = one.has(path) ? updateOf(one.get(path)!) : new Float64Array(size);
      return updateOf(two.get(path)!).map((value, i) => 0.5 * half[i]! - 2 * value);
    });
    expect(difference).toBeLessThan(1e-6);
  });

  it("take a factor below zero", async () => {
    const { code } = await adapter("scale", "peft", "--by", "-1.5", "--out", "back");
    expect(code).toBe(0);
    const one = qv();
    const difference = updatesDiffer(matricesOf("back"), (path) =>
      updateOf(one.get(path)!).map((value) => -1.5 * value),
    );
    expect(difference).toBeLessThan(1e-6);
  });

  it("reduce the sum to a rank, and say what that keeps", async () => {
    const args = ["add", "peft", `${all}:0.1`, "--rank", "6", "--out", "six", "--json"];
    const { rank, kept } = JSON.parse((await adapter(...args)).stdout);
    expect(rank).toBe(6);
    expect(kept).toBeGreaterThan(0.5);
    expect(kept).toBeLessThan(1);
    expect([...matricesOf("six").values()].every((lora) => lora.rank === 6)).toBe(true);
  });
});

describe.concurrent("facet adapter merge", () => {
  it("merges by TIES: of one adapter with itself, all of it is left", async () => {
    const args = ["merge", "peft", "peft:1", "--density", "1", "--out", "same", "--json"];
    const { stdout } = await adapter(...args);
    expect(JSON.parse(stdout).kept).toBeCloseTo(1, 6);
    const one = qv();
    const difference = updatesDiffer(matricesOf("same"), (path) => updateOf(one.get(path)!));
    expect(difference).toBeLessThan(1e-5);
  });

  it("keeps the largest values only, as it says", async () => {
    const args = ["merge", "peft", all, "--rank", "8", "--out", "ties", "--json"];
    const { rank, layers, kept } = JSON.parse((await adapter(...args)).stdout);
    expect({ rank, layers }).toEqual({ rank: 8, layers: 21 });
    expect(kept).toBeLessThan(1);
  });

  it("adds A and B each by themselves with --method linear", async () => {
    const args = ["merge", "peft:0.5", "peft:0.5", "--method", "linear", "--out", "linear"];
    expect((await adapter(...args)).code).toBe(0);
    // (√½ + √½)² = 2.
    const one = qv();
    const difference = updatesDiffer(matricesOf("linear"), (path) =>
      updateOf(one.get(path)!).map((value) => 2 * value),
    );
    expect(difference).toBeLessThan(1e-5);
  });
});

describe.concurrent("facet adapter svd", () => {
  it("reduces an adapter's rank", async () => {
    const { stdout } = await adapter("svd", "peft", "--rank", "2", "--out", "two", "--json");
    const { rank, kept } = JSON.parse(stdout);
    expect(rank).toBe(2);
    expect(kept).toBeGreaterThan(0.3);
    expect(kept).toBeLessThan(1);
  });

  it("makes an adapter of the difference of two models", async () => {
    const merged = ["export", "--adapter", "peft", "--model", "tiny", "--to", "merged"];
    await runFacet([...merged, "--out", "tuned", "--no-verify"], folder);
    const models = ["--from-model", "tiny", "--to-model", "tuned"];
    const { code, stdout, stderr } = await adapter(
      ...["svd", ...models, "--rank", "4", "--out", "delta", "--json"],
    );
    expect({ code, stderr: /differ in/.test(stderr) }).toEqual({ code: 0, stderr: false });
    const { layers, kept } = JSON.parse(stdout);
    expect(layers).toBe(6);
    expect(kept).toBeCloseTo(1, 5);
    const one = qv();
    for (const [path, lora] of matricesOf("delta")) {
      expect(relativeError(updateOf(lora), updateOf(one.get(path)!))).toBeLessThan(1e-4);
    }
    const config = readFileSync(join(folder, "delta", "adapter_config.json"), "utf8");
    expect(JSON.parse(config).base_model_name_or_path).toBe("tiny");
  });
});

describe.concurrent("facet adapter refuses", () => {
  it.each([
    [["add", "nowhere", "--out", "x"], "error: nowhere is no adapter"],
    [["add", "--out", "x"], "error: missing required argument 'adapters'"],
    [["add", "peft"], "error: required option --out not given"],
    [["add", "peft", "--out", "tiny"], "tiny exists already. Choose another --out"],
    [["scale", "peft", "--by", "much", "--out", "x"], 'error: Invalid --by "much"'],
    [["merge", "peft", "--out", "x"], "error: Invalid merge"],
    [
      ["merge", "peft", "peft", "--method", "linear", "--rank", "2", "--out", "x"],
      "error: --rank has a meaning only with --method ties.",
    ],
    [["merge", "peft", "peft", "--density", "0", "--out", "x"], 'error: Invalid --density "0"'],
    [["svd", "--rank", "2", "--out", "x"], "error: Give an adapter, or both --from-model and"],
    [
      ["svd", "peft", "--from-model", "tiny", "--rank", "2", "--out", "x"],
      "error: Give an adapter, or both --from-model and",
    ],
    [
      ["svd", "--from-model", "tiny", "--to-model", "tiny", "--rank", "2", "--out", "x"],
      "error: tiny and tiny have the same linear layers.",
    ],
    [["shwo", "peft"], "error: unknown command 'shwo'\n(Did you mean show?)"],
  ])("%j, and writes nothing", async (args, message) => {
    const { code, stdout, stderr } = await adapter(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  it("to add adapters whose paths to the text model differ, without the base model", async () => {
    const { matrices } = readPeft(join(folder, "peft"));
    const renamed = new Map(
      [...matrices].map(([path, lora]) => [path.replace("model.", "model.language_model."), lora]),
    );
    await writePeft(join(folder, "multimodal"), { matrices: renamed, baseModel: undefined });
    const without = await adapter("add", "peft", "multimodal", "--out", "mixed");
    expect(without.stderr).toMatch(/names the layers model\.…, .*Give the base model with --model/);
    const args = ["add", "peft", "multimodal", "--model", "tiny", "--out", "mixed"];
    expect((await adapter(...args)).code).toBe(0);
  });
});
