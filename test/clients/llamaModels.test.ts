import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { writeGgufAdapter } from "../../src/adapters/gguf.js";
import { type GgufFileType, writeGguf } from "../../src/checkpoints/gguf.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { openModel } from "../../src/hub/openModel.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { toPeft } from "../../src/lora/peft.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { tokenizerOf } from "../../src/tokenizers/sentencePiece.js";
import { tinyFamilies, tinyFamilyFolder } from "../support/tinyFamilies.js";
import { compareWithLlama } from "./compareWithLlama.js";
import { askLlama, llamaIsInstalled } from "./llama.js";

const place = mkdtempSync(join(tmpdir(), "facet-llama-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const written = (folder: string, name: string, type: GgufFileType) => {
  const path = join(place, `${name}-${type}.gguf`);
  writeGguf(path, readHuggingFace(folder), { type });
  return path;
};

const prompt = [2, 45, 301, 77, 410, 19, 260, 133];

describe.runIf(llamaIsInstalled)("llama.cpp, with models that Facet wrote", () => {
  test.each(tinyFamilies)("%s in F32", async (name) => {
    const folder = tinyFamilyFolder(name, join(place, name));
    const gguf = written(folder, name, "F32");
    const model = await openModel(folder);
    const { tokens, ours, largest } = await compareWithLlama({ gguf, model, prompt });
    expect(ours).toEqual(tokens);
    expect(largest.withHalfGelu).toBeLessThan(2e-3);
  });

  // The reference is Facet with the very same file. llama.cpp rounds the inputs of a product too: to the type of a
  // matrix in half precision, to 8 bits where it is quantised. Measured: 2.7e-4, 2.6e-3, 9.6e-3, 2.9e-2, 5.0e-2.
  test.each([
    ["F32", 2e-3],
    ["F16", 5e-3],
    ["BF16", 2e-2],
    ["Q8_0", 6e-2],
    ["Q4_0", 0.1],
  ] as const)("the built-in model in %s", async (type, tolerance) => {
    const base = await openModel("facet_nano_en");
    const gguf = written(base.folder, "nano", type);
    const model = await openModel(gguf, { cache: join(place, "converted") });
    const ids = [2, ...base.tokenizer!.encode("Instruction:\nWhy is the sky blue?\n\nResponse:\n")];
    const { tokens, ours, largest } = await compareWithLlama({ gguf, model, prompt: ids });
    if (type === "F32") expect(ours).toEqual(tokens);
    expect(largest.withHalfGelu).toBeLessThan(tolerance);
  });

  test("the built-in model with an adapter on it", async () => {
    const model = await openModel("facet_nano_en");
    const adapter = createAdapter(
      { rank: 4, alpha: 8, targets: ["q_proj", "v_proj", "down_proj"], layout: "keras" },
      gemmaModules(model.config),
      1,
    );
    adapter.parameters.values.forEach((value, i, values) => {
      values[i] = value + 0.02 * Math.sin(i);
    });
    const gguf = written(model.folder, "base", "F32");
    const ggufAdapter = join(place, "adapter.gguf");
    const file = { matrices: toPeft(adapter).matrices, baseModel: undefined };
    const family = model.config.family ?? "gemma";
    writeGgufAdapter(ggufAdapter, file, { family, name: "adapter", type: "F32" });
    const ids = [2, ...model.tokenizer!.encode("The sea is")];
    const options = { gguf, ggufAdapter, model, adapter, prompt: ids };
    const { tokens, ours, largest } = await compareWithLlama(options);
    expect(ours).toEqual(tokens);
    expect(largest.withHalfGelu).toBeLessThan(2e-3);
  });

  test("reads texts as Facet's tokenizer does", async () => {
    const { folder } = await openModel("facet_nano_en");
    const checkpoint = readHuggingFace(folder);
    const tokenizer = tokenizerOf(checkpoint.tokenizer!);
    const texts = [
      "Hello, world!",
      " leading and trailing ",
      "two  spaces   three\ttabs\n\nlines\r\n",
      "1234567890 3.14159 2,000",
      "Le café près de l’église — „naïve“",
      "日本語のテキスト 漢字",
      "👍🏽 👩‍👩‍👧‍👦 emoji",
      "\u0000\u0001\u007f bytes \ufffd",
      "<bos>x<eos> <unk> <pad> <0x0A>",
      "def f(x):\n    return x ** 2  # comment\n",
      "▁ already ▁▁there",
      "a".repeat(300),
    ];
    const model = written(folder, "words", "F32");
    const { texts: theirs } = await askLlama({ model, texts });
    // Not compared: turn markers in a text. llama.cpp takes <start_of_turn> for the piece and <end_of_turn> for letters.
    expect(theirs).toEqual(texts.map((text) => tokenizer.encodeOrdinary(text)));
  });
});
