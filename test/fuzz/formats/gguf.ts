import { join } from "node:path";
import { bindAdapter } from "../../../src/adapters/bind.js";
import { readGgufAdapter, writeGgufAdapter } from "../../../src/adapters/gguf.js";
import { readGguf as readModel, writeGguf as writeModel } from "../../../src/checkpoints/gguf.js";
import { readGguf } from "../../../src/formats/gguf/readGguf.js";
import { type GgmlTypeName, ggmlTypes } from "../../../src/formats/gguf/tensorTypes.js";
import { type GgufValue, text, u32, valueTypes } from "../../../src/formats/gguf/values.js";
import { writeGguf } from "../../../src/formats/gguf/writeGguf.js";
import type { FamilyName } from "../../../src/models/gemma/family.js";
import { fieldsOf } from "../fields.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import {
  fileOf,
  fixture,
  fixtureModules,
  tinyCheckpoint,
  tinyMatrices,
  tinyModules,
  written,
} from "../tinyModel.js";
import { useTensor, useTokenizer } from "../use.js";

const file = "model.gguf";

/** A value of each type, alone and in a list. */
const everyValue = new Map<string, GgufValue>(
  valueTypes
    .filter((type) => type !== "array")
    .flatMap((type): [string, GgufValue][] => {
      const value = type === "string" ? "é" : type === "bool" ? true : /64$/.test(type) ? 5n : 5;
      const one = type === "float64" ? 0.5 : value;
      return [
        [`a.${type}`, { type, value: one }],
        [`l.${type}`, { type: "array", of: type, value: [one, one] }],
      ];
    }),
);

const writable = ["F32", "F16", "BF16", "Q8_0", "Q4_0"] as const;

/** Blocks of zeros under the code of a type that Facet only reads, which a file of bytes of another one becomes. */
async function withType(type: GgmlTypeName) {
  const { elements, bytes, code } = ggmlTypes[type];
  // As many elements as the type has in a block, stored as F16: twice as many bytes at least.
  const data = () => [new Float32Array(elements)];
  const metadata = new Map([["general.alignment", u32(8)]]);
  const files = await written((folder) =>
    writeGguf(join(folder, file), metadata, [{ name: "t", shape: [elements], type: "F16", data }]),
  );
  const whole = Uint8Array.from(files.get(file)!);
  // The last numbers of the header are the tensor's type and its offset.
  whole[fieldsOf(whole, file).at(-2)!.at] = code;
  return fileOf(file, whole.slice(0, whole.length - 2 * elements + bytes));
}

export const gguf: FuzzedFormat = {
  name: "gguf",
  seeds: async () => [
    await written((folder) => writeGguf(join(folder, file), everyValue, [])),
    await written((folder) =>
      writeGguf(
        join(folder, file),
        new Map([["general.architecture", text("gemma")]]),
        writable.map((type, i) => ({
          ...{ name: `t${i}`, shape: [1, 32], type, data: () => [new Float32Array(32).fill(i)] },
        })),
      ),
    ),
    await withType("Q6_K"),
    await withType("Q4_K"),
    await withType("Q5_1"),
    fileOf(file, fixture("gguf/gemma1_lora_qv.gguf")),
  ],
  read(folder) {
    const { metadata, tensors } = readGguf(join(folder, file));
    for (const { type, value } of metadata.values()) {
      expectThat((type === "array") === Array.isArray(value), "lists where lists are announced");
    }
    for (const tensor of tensors.values()) useTensor(tensor);
  },
};

const familyNames = ["gemma", "gemma2", "gemma3_text"] as const satisfies FamilyName[];

export const ggufModel: FuzzedFormat = {
  name: "gguf-model",
  seeds: () =>
    Promise.all(
      familyNames.map((family) =>
        written((folder) =>
          writeModel(join(folder, file), tinyCheckpoint(family), { type: "F32" }),
        ),
      ),
    ),
  read(folder) {
    const { tensors, tokenizer, chatTemplate, name } = readModel(join(folder, file));
    expectThat(typeof name === "string" && typeof (chatTemplate ?? "") === "string", "text");
    for (const tensor of tensors.values()) useTensor(tensor);
    if (tokenizer !== undefined) useTokenizer(tokenizer);
  },
};

const adapterFile = "adapter.gguf";
const tiny = tinyModules("gemma");

export const ggufAdapter: FuzzedFormat = {
  name: "gguf-adapter",
  seeds: async () => [
    await written((folder) =>
      writeGgufAdapter(
        join(folder, adapterFile),
        { matrices: tinyMatrices("gemma"), baseModel: "google/gemma-2b" },
        { family: "gemma", name: "tiny", type: "F32" },
      ),
    ),
    fileOf(adapterFile, fixture("gguf/gemma1_lora_qv.gguf")),
  ],
  read(folder) {
    const path = join(folder, adapterFile);
    const adapter = readGgufAdapter(path);
    for (const { a, b, rank, inFeatures, outFeatures, scale } of adapter.matrices.values()) {
      expectThat(a.length === rank * inFeatures && b.length === rank * outFeatures, "a pair");
      expectThat(Number.isFinite(scale), "a scale");
    }
    const isTiny = [...adapter.matrices.values()][0]!.inFeatures === tiny[0]!.inFeatures;
    bindAdapter(adapter, isTiny ? tiny : fixtureModules, path);
  },
};
