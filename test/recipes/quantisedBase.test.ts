import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convertModel } from "../../src/recipes/convertModel.js";
import { exportAdapter } from "../../src/recipes/exportAdapter.js";
import type { ExportTargetName } from "../../src/recipes/exportTargets.js";
import type { OutType } from "../../src/recipes/proof.js";
import { fixture } from "../support/modelFolder.js";
import { engine } from "../support/referenceGemma.js";
import { tinyFamilyFolder } from "../support/tinyFamilies.js";

const place = mkdtempSync(join(tmpdir(), "facet-quantised-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const at = (...names: string[]) => join(place, ...names);

const convert = (model: string, to: "hf" | "gguf", out: string, outtype?: OutType) =>
  convertModel({ model: at(model), to, out: at(out), verify: false, outtype }, engine);

const exported = (model: string, to: ExportTargetName, out: string) =>
  exportAdapter(
    {
      ...{ adapter: at("peft"), model: at(model), to, out: at(out), verify: false },
      ...(to === "ollama" && { template: "tutorial" }),
    },
    engine,
  );
const card = (folder: string) => readFileSync(at(folder, "README.md"), "utf8");

beforeAll(async () => {
  process.env.FACET_HOME = at("home");
  tinyFamilyFolder("gemma1_tiny", at("tiny"));
  cpSync(fixture("gemma1_tiny/peft_qv"), at("peft"), { recursive: true });
  await convert("tiny", "gguf", "q4.gguf", "q4_0");
  await convert("tiny", "gguf", "f16.gguf", "f16");
  await convert("q4.gguf", "hf", "from-q4");
});

describe("weights that were quantised are never taken for whole ones", () => {
  test.each<[ExportTargetName, string]>([
    ["merged", "merged"],
    ["merged-gguf", "merged.gguf"],
    ["ollama", "ollama"],
  ])("--to %s says what it is made from, and what to do instead", async (to, out) => {
    const { warnings } = await exported("q4.gguf", to, out);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^The weights of .*q4.* are quantised \(Q4_0, Q8_0\), and .* merged into what is left of them\. Give the unquantised model instead/,
      ),
    ]);
  });

  test("the card of a merged model says it too", async () => {
    await exported("q4.gguf", "merged", "with-card");
    expect(card("with-card")).toMatch(/base weights were quantised before \(Q4_0, Q8_0\)/);
    await exported("tiny", "merged", "whole");
    expect(card("whole")).not.toContain("quantised");
  });

  test.each(["hf", "gguf"] as const)("a conversion to %s says it", async (to) => {
    const { warnings } = await convert("q4.gguf", to, `again.${to}`);
    expect(warnings).toEqual([
      expect.stringMatching(/quantised \(Q4_0, Q8_0\).* Convert the unquantised model instead/),
    ]);
  });

  test("a folder that was made of them keeps saying it, and so does what is merged from it", async () => {
    const config = JSON.parse(readFileSync(at("from-q4", "config.json"), "utf8"));
    expect(config.dequantized_from).toEqual(["Q4_0", "Q8_0"]);
    expect((await exported("from-q4", "merged", "second")).warnings).toHaveLength(1);
    expect((await convert("second", "gguf", "third.gguf")).warnings).toHaveLength(1);
  });
});

test("of others, and of an adapter alone, nothing is said", async () => {
  expect((await exported("q4.gguf", "peft", "adapter")).warnings).toEqual([]);
  expect((await exported("q4.gguf", "gguf", "adapter.gguf")).warnings).toEqual([]);
  expect((await exported("tiny", "merged", "plain")).warnings).toEqual([]);
  expect((await exported("f16.gguf", "merged", "half")).warnings).toEqual([]);
  expect((await convert("tiny", "gguf", "quantised-now.gguf", "q8_0")).warnings).toEqual([]);
});
