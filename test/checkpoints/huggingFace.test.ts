import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readHuggingFace, writeHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { readModel } from "../../src/checkpoints/modelFiles.js";
import { FacetError } from "../../src/errors.js";
import { readWhole } from "../../src/formats/storedTensor.js";
import { readGemmaConfig } from "../../src/models/gemma/config.js";
import { largestDifference } from "../support/closeness.js";
import { fixture, temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";

const families = ["gemma1_tiny", "gemma2_tiny", "gemma3_tiny"];

describe("a folder as Hugging Face lays it out", () => {
  test.each(families)("%s is the same model after it was written and read", async (family) => {
    const folder = join(temporaryFolder(), "copy");
    const original = readHuggingFace(fixture(family));
    await writeHuggingFace(folder, original, {});
    const copy = readHuggingFace(folder);
    expect(readGemmaConfig(folder)).toEqual(original.config);
    expect([...copy.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort());
    for (const [name, tensor] of original.tensors) {
      expect(copy.tensors.get(name)!.dtype).toBe(tensor.dtype);
      expect(readWhole(copy.tensors.get(name)!)).toEqual(readWhole(tensor));
    }
  });

  test("large models are split into shards with an index", async () => {
    const folder = join(temporaryFolder(), "sharded");
    const original = readHuggingFace(fixture("gemma1_tiny"));
    await writeHuggingFace(folder, original, { shardBytes: 200_000 });
    const shards = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
    expect(shards.length).toBeGreaterThan(2);
    expect(shards[0]).toBe(`model-00001-of-0000${shards.length}.safetensors`);
    const index = JSON.parse(readFileSync(join(folder, "model.safetensors.index.json"), "utf8"));
    expect(index.metadata.total_size).toBe(137_664 * 4);
    for (const [name, tensor] of readHuggingFace(folder).tensors) {
      expect(readWhole(tensor)).toEqual(readWhole(original.tensors.get(name)!));
    }
  });

  test("another type rounds every value to the nearest one of it", async () => {
    const folder = join(temporaryFolder(), "half");
    const original = readHuggingFace(fixture("gemma1_tiny"));
    await writeHuggingFace(folder, original, { dtype: "BF16" });
    expect(JSON.parse(readFileSync(join(folder, "config.json"), "utf8")).torch_dtype).toBe(
      "bfloat16",
    );
    for (const [name, tensor] of readHuggingFace(folder).tensors) {
      const values = readWhole(original.tensors.get(name)!);
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(tensor.dtype).toBe("BF16");
      expect(largestDifference(readWhole(tensor), values)).toBeLessThanOrEqual(largest / 256);
    }
  });

  test.each(["config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json"])(
    "%s that is a folder itself is refused",
    (name) => {
      const folder = tinyModelFolder({ tokenizer: false });
      rmSync(join(folder, name), { force: true });
      mkdirSync(join(folder, name));
      expect(() => readModel(folder)).toThrow(FacetError);
      expect(() => readModel(folder)).toThrow(new RegExp(`Cannot read .*${name}`));
    },
  );

  test("the tokenizer's files come along, and the card is the README", async () => {
    const folder = join(temporaryFolder(), "whole");
    await writeHuggingFace(folder, readHuggingFace(tinyModelFolder()), { card: "# Tiny\n" });
    expect(readFileSync(join(folder, "tokenizer.model"))).toEqual(
      readFileSync(fixture("tok512/tokenizer.model")),
    );
    expect(readFileSync(join(folder, "README.md"), "utf8")).toBe("# Tiny\n");
  });
});
