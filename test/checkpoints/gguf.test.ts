import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGguf, writeGguf } from "../../src/checkpoints/gguf.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { readGguf as readFile } from "../../src/formats/gguf/readGguf.js";
import { f32 } from "../../src/formats/gguf/values.js";
import { writeGguf as writeFile } from "../../src/formats/gguf/writeGguf.js";
import { readWhole } from "../../src/formats/storedTensor.js";
import { presets } from "../../src/hub/presets.js";
import { fromGgufConfig, toGgufConfig } from "../../src/models/gemma/ggufConfig.js";
import { tokenizerOf } from "../../src/tokenizers/sentencePiece.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { fixture, temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import { sharedPath } from "../support/sharedFolder.js";

const at = (name: string) => join(temporaryFolder(), name);

describe("configurations", () => {
  test.each(Object.keys(presets))("%s is the same after it was written and read", (name) => {
    const { config } = presets[name]!;
    // A GGUF file is the text model alone.
    const { textPath: _, ...text } = config;
    expect(fromGgufConfig(toGgufConfig(config), config.vocabularySize, "x.gguf")).toEqual(text);
  });

  test("what llama.cpp would take for something else is refused", () => {
    const { config } = presets.gemma2_2b_en!;
    const window = config.slidingWindow!;
    const layers = window.layers.map((local) => !local);
    expect(() => toGgufConfig({ ...config, queryScalar: 100 })).toThrow(/query scale of 100/);
    expect(() => toGgufConfig({ ...config, slidingWindow: { ...window, layers } })).toThrow(
      /order of local and global layers/,
    );
  });

  test("a key that is missing, or no number, is named", () => {
    const metadata = toGgufConfig(presets.gemma_2b_en!.config);
    const without = new Map(metadata);
    without.delete("gemma.block_count");
    expect(() => fromGgufConfig(without, 8, "x.gguf")).toThrow(/gemma.block_count is missing/);
    const wrong = new Map([...metadata, ["gemma.block_count", { type: "string", value: "3" }]]);
    expect(() => fromGgufConfig(wrong as typeof metadata, 8, "x.gguf")).toThrow(
      /no positive number/,
    );
    const layers = (value: number) =>
      fromGgufConfig(new Map([...metadata, ["gemma.block_count", f32(value)]]), 8, "x.gguf");
    expect(() => layers(3.5)).toThrow(/block_count is 3.5, no whole number/);
    // Facet lists the layers: this many would fill the memory.
    expect(() => layers(2 ** 31)).toThrow(/block_count is 2147483648, more than/);
    const wide = new Map([
      ...metadata,
      ["general.architecture", { type: "uint64", value: 2n ** 60n }],
    ]);
    expect(() => fromGgufConfig(wide as typeof metadata, 8, "x.gguf")).toThrow(
      /architecture is "1152921504606846976"; Facet reads/,
    );
    const other = new Map([
      ...metadata,
      ["general.architecture", { type: "string", value: "llama" }],
    ]);
    expect(() => fromGgufConfig(other as typeof metadata, 8, "x.gguf")).toThrow(
      /"llama"; Facet reads/,
    );
  });
});

describe("files that llama.cpp's converter wrote", () => {
  const names = ["gemma1", "gemma2", "gemma3"];
  const folder = sharedPath("fixtures/gguf");

  test.skipIf(!folder.isThere).each(names)("%s is the model that it was made from", (name) => {
    const read = readGguf(join(folder.path, `${name}.gguf`));
    const written = at("again.gguf");
    writeGguf(written, read, { type: "F32" });
    const [theirs, ours] = [readFile(join(folder.path, `${name}.gguf`)), readFile(written)];
    expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
    for (const [tensor, { shape, type, read }] of theirs.tensors) {
      const own = ours.tensors.get(tensor)!;
      expect([own.shape, own.type]).toEqual([shape, type]);
      const difference = largestDifference(
        readWhole(own),
        readWhole({ shape, dtype: "F32", read }),
      );
      // A norm is read as w = sum − 1 and written as w + 1.
      expect(difference).toBeLessThanOrEqual(tensor.includes("norm") ? 1.2e-7 : 0);
    }
    const left = new Set(["general.size_label", "tokenizer.ggml.eot_token_id"]);
    for (const [key, value] of theirs.metadata) {
      if (!left.has(key)) expect([key, ours.metadata.get(key)]).toEqual([key, value]);
    }
  });

  test.skipIf(!folder.isThere)("their vocabulary tokenizes as the tokenizer.model does", () => {
    const read = readGguf(join(folder.path, "gemma1.gguf"));
    const own = readHuggingFace(tinyModelFolder());
    expect(read.tokenizer!.pieces).toEqual(own.tokenizer!.pieces);
    expect(tokenizerOf(read.tokenizer!).encode("The sea is 12 m deep.")).toEqual(
      tokenizerOf(own.tokenizer!).encode("The sea is 12 m deep."),
    );
  });
});

describe("a model of ours", () => {
  test.each([
    ["F32", 0],
    ["F16", 5e-4],
    ["BF16", 4e-3],
    ["Q8_0", 6e-3],
    ["Q4_0", 0.1],
  ] as const)("as %s is the same up to %f of its size", (type, bound) => {
    const original = readHuggingFace(tinyModelFolder());
    const path = at("m.gguf");
    writeGguf(path, original, { type });
    const copy = readGguf(path);
    expect(copy.config).toEqual(original.config);
    expect(copy.tokenizer!.pieces).toEqual(original.tokenizer!.pieces);
    expect(new Set(copy.tensors.keys())).toEqual(new Set(original.tensors.keys()));
    for (const [name, tensor] of original.tensors) {
      const error = relativeError(readWhole(copy.tensors.get(name)!), readWhole(tensor));
      expect(error).toBeLessThanOrEqual(tensor.shape.length === 1 ? 1e-6 : bound);
    }
  });

  test("rows of the embedding that no piece uses have a name there, and none here", () => {
    const original = readHuggingFace(tinyModelFolder());
    const config = { ...original.config, vocabularySize: 520 };
    const embedding = {
      shape: [520, 64],
      dtype: "F32",
      read: () => [new Float32Array(520 * 64)],
    } as const;
    const tensors = new Map([...original.tensors, ["model.embed_tokens.weight", embedding]]);
    const path = at("m.gguf");
    writeGguf(path, { ...original, config, tensors }, { type: "F32" });
    const tokens = readFile(path).metadata.get("tokenizer.ggml.tokens")!.value as string[];
    expect([tokens.length, tokens.at(-1)]).toEqual([520, "[PAD519]"]);
    expect(readGguf(path).tokenizer!.pieces).toHaveLength(512);
    expect(readGguf(path).config.vocabularySize).toBe(520);
  });

  test("an adapter, a missing tensor and an unknown one are refused", () => {
    const adapter = fixture("gguf/gemma1_lora_qv.gguf");
    expect(() => readGguf(adapter)).toThrow(/no token_embd.weight, so it is no whole model/);
    const path = at("m.gguf");
    writeGguf(path, readHuggingFace(fixture("gemma1_tiny")), { type: "F32" });
    const { metadata, tensors } = readFile(path);
    const parts = [...tensors].map(([name, { read, ...rest }]) => ({ ...rest, name, data: read }));
    const broken = at("broken.gguf");
    writeFile(
      broken,
      metadata,
      parts.filter(({ name }) => name !== "blk.1.attn_q.weight"),
    );
    expect(() => readGguf(broken)).toThrow(/blk.1.attn_q.weight is missing; expected \[64, 64\]/);
    writeFile(broken, metadata, [...parts, { ...parts[0]!, name: "rope_freqs.weight" }]);
    expect(() => readGguf(broken)).toThrow(/rope_freqs.weight is no tensor of this model/);
  });
});
