import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readPeft, writePeft } from "../../src/adapters/peft.js";
import { fixture } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const facet = (...args: string[]) =>
  runFacet(["export", "--adapter", "dora", "--model", "tiny", ...args], folder);

beforeAll(async () => {
  const { matrices } = readPeft(fixture("gemma1_tiny/peft_all"), tiny.modules);
  const withMagnitudes = [...matrices].map(([path, lora]) => {
    const magnitude = Float32Array.from({ length: lora.outFeatures }, (_, i) => 1 + (i % 5) / 10);
    return [path, { ...lora, magnitude }] as const;
  });
  const file = { matrices: new Map(withMagnitudes), baseModel: "tiny" };
  await writePeft(join(folder, "dora"), file, tiny.modules);
});

describe("facet export of a DoRA adapter", () => {
  test.each([
    ["peft", "out-peft"],
    ["mlx", "out-mlx"],
    ["merged", "out-merged"],
    ["merged-gguf", "out.gguf"],
  ])("--to %s writes %s and proves it", async (to, out) => {
    const { code, stdout, stderr } = await facet("--to", to, "--out", out, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout).proof.holds).toBe(true);
  });

  test("--to gguf says that GGUF cannot hold it, and what can", async () => {
    const { code, stderr } = await facet("--to", "gguf", "--out", "lora.gguf");
    expect(code).toBe(1);
    expect(stderr).toMatch(/DoRA adapter .* which GGUF cannot hold\. Export the merged model/);
    expect(existsSync(join(folder, "lora.gguf"))).toBe(false);
  });
});
