import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const facet = (...args: string[]) =>
  runFacet(["export", "--adapter", "peft", "--model", "tiny", ...args], folder);
const proofOf = (stdout: string) => JSON.parse(stdout).proof;

describe("facet export", () => {
  test.each([
    ["peft", "out-peft", []],
    ["gguf", "out.gguf", []],
    ["gguf", "out-half.gguf", ["--outtype", "f16"]],
    ["mlx", "out-mlx", []],
    ["merged", "out-merged", []],
    ["merged", "out-bf16", ["--outtype", "bf16"]],
    ["merged-gguf", "whole-f32.gguf", []],
    ["merged-gguf", "whole-q8.gguf", ["--outtype", "q8_0"]],
    ["merged-gguf", "whole-q4.gguf", ["--outtype", "q4_0"]],
    ["ollama", "out-ollama", ["--template", "tutorial"]],
  ])("--to %s writes %s and proves it", async (to, out, more) => {
    const { code, stdout } = await facet("--to", to, "--out", out, "--json", ...more);
    const { largestDifference, relativeError, tolerance, positions, holds } = proofOf(stdout);
    expect({ code, holds }).toEqual({ code: 0, holds: true });
    expect(relativeError).toBeLessThanOrEqual(tolerance);
    expect(largestDifference).toBeGreaterThanOrEqual(relativeError);
    expect(positions).toBeGreaterThan(50);
  });

  test("a GGUF adapter comes back as a PEFT folder with the same numbers", async () => {
    await facet("--to", "gguf", "--out", "there.gguf");
    const args = ["export", "--adapter", "there.gguf", "--model", "tiny", "--to", "peft"];
    const { code } = await runFacet([...args, "--out", "back"], folder);
    await facet("--to", "peft", "--out", "straight");
    const weights = (name: string) => readFileSync(join(folder, name, "adapter_model.safetensors"));
    expect(code).toBe(0);
    expect(weights("back").equals(weights("straight"))).toBe(true);
  });

  test("a merged model opens as any other model", async () => {
    await facet("--to", "merged", "--out", "whole");
    const prompt = ["--prompt", "The sea", "--max-length", "12", "--json"];
    const merged = await runFacet(["generate", "--model", "whole", ...prompt], folder);
    const live = ["generate", "--model", "tiny", "--adapter", "peft", ...prompt];
    const { completion } = JSON.parse((await runFacet(live, folder)).stdout);
    expect(JSON.parse(merged.stdout).completion).toBe(completion);
    expect(readFileSync(join(folder, "whole", "README.md"), "utf8")).toContain("rank 4 on q_proj");
  });

  test("a merged GGUF file opens as any other model, with its tokenizer", async () => {
    await facet("--to", "merged-gguf", "--out", "one.gguf", "--no-verify");
    const prompt = ["--prompt", "The sea", "--max-length", "12", "--json"];
    const live = ["generate", "--model", "tiny", "--adapter", "peft", ...prompt];
    const { completion } = JSON.parse((await runFacet(live, folder)).stdout);
    const merged = await runFacet(["generate", "--model", "one.gguf", ...prompt], folder);
    expect(JSON.parse(merged.stdout).completion).toBe(completion);
  });

  test("without verification it says so", async () => {
    const { code, stderr } = await facet("--to", "gguf", "--out", "un.gguf", "--no-verify");
    expect(code).toBe(0);
    expect(stderr).toContain("Not verified");
  });

  test("refuses what it would overwrite, a type the target has not, and an unnamed base", async () => {
    writeFileSync(join(folder, "mine.gguf"), "mine");
    const taken = await facet("--to", "gguf", "--out", "mine.gguf");
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain("exists already");
    expect(readFileSync(join(folder, "mine.gguf"), "utf8")).toBe("mine");

    const half = await facet("--to", "peft", "--out", "half", "--outtype", "bf16");
    expect(half.stderr).toContain("--to peft cannot be written as bf16; it takes f32.");
    expect(existsSync(join(folder, "half"))).toBe(false);

    const untold = await facet("--to", "ollama", "--out", "untold");
    expect(untold.stderr).toContain("peft does not say how prompts were rendered in training.");
    const ignored = await facet("--to", "mlx", "--out", "ignored", "--template", "tutorial");
    expect(ignored.stderr).toContain("--template is for --to ollama");

    const args = ["export", "--adapter", "mine.gguf", "--to", "peft", "--out", "x"];
    const unnamed = await runFacet(args, folder);
    expect(unnamed.stderr).toContain("does not say which model it belongs to. Give --model.");
  });
});
