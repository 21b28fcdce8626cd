import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { readGguf, writeGguf } from "../../src/checkpoints/gguf.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { bfloat16ToFloat32, float32ToBfloat16 } from "../../src/formats/dtypes.js";
import type { QuantizedTensor } from "../../src/formats/quantizedTensor.js";
import { readFloat32, type TensorInfo } from "../../src/formats/safetensors.js";
import { readWhole } from "../../src/formats/storedTensor.js";
import { openModel } from "../../src/hub/openModel.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import { dequantized } from "../support/quantized.js";

const projection = "model.layers.0.mlp.up_proj.weight";
const embedding = "model.embed_tokens.weight";
const norm = "model.norm.weight";

/** What a quantised weight's part of its file stands for. */
function valuesOf({ values, scales, shape, bits }: QuantizedTensor): Float32Array {
  const bytes = readFileSync(values.file).subarray(
    values.offset,
    scales.offset + scales.byteLength,
  );
  return dequantized(bytes, shape, bits);
}

let home: string;
beforeEach(() => {
  home = temporaryFolder();
  vi.stubEnv("FACET_HOME", home);
  return () => vi.unstubAllEnvs();
});

const cached = (folder: string) => readdirSync(join(folder, ".facet"));

describe("weights of another type than a model's files have", () => {
  test("lie in one file beside the model, written once", async () => {
    const folder = tinyModelFolder();
    const notices: string[] = [];
    const options = { weights: "int4", onNotice: (text: string) => notices.push(text) } as const;
    const { frozen, weights } = await openModel(folder, options);
    const [file] = cached(folder);
    expect(file).toMatch(/^int4-[0-9a-f]{16}\.safetensors$/);
    expect(notices).toEqual([expect.stringMatching(/^Storing the weights of .* as int4, once\.$/)]);
    const { mtimeMs } = statSync(join(folder, ".facet", file!));

    const again = await openModel(folder, options);
    expect(again.frozen).toEqual(frozen);
    expect(notices).toHaveLength(1);
    expect(cached(folder)).toEqual([file]);
    expect(statSync(join(folder, ".facet", file!)).mtimeMs).toBe(mtimeMs);

    expect([...frozen.keys()].sort()).toEqual([...weights.keys()].sort());
    const original = readFloat32(weights.get(projection)!);
    const quantised = frozen.get(projection) as QuantizedTensor;
    expect(quantised.bits).toBe(4);
    const back = valuesOf(quantised);
    const largest = Math.max(...original.map(Math.abs));
    original.forEach((value, i) => {
      expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(largest / 8);
    });
    expect(readFloat32(frozen.get(norm) as TensorInfo)).toEqual(readFloat32(weights.get(norm)!));
  });

  test("are the files' own for auto and for the type that they have", async () => {
    const folder = tinyModelFolder();
    for (const weights of ["auto", "f32"] as const) {
      const model = await openModel(folder, { weights });
      expect(model.frozen).toBe(model.weights);
    }
    expect(existsSync(join(folder, ".facet"))).toBe(false);
  });

  test("can be bf16, rounded to nearest", async () => {
    const { frozen, weights } = await openModel(tinyModelFolder(), { weights: "bf16" });
    const rounded = readFloat32(frozen.get(projection) as TensorInfo);
    expect(frozen.get(projection)).toMatchObject({ dtype: "BF16" });
    const original = readFloat32(weights.get(projection)!);
    expect(rounded).toEqual(bfloat16ToFloat32(float32ToBfloat16(original)));
  });

  test("are made anew when the model's file has changed, and the old ones go", async () => {
    const folder = tinyModelFolder();
    await openModel(folder, { weights: "int8" });
    await openModel(folder, { weights: "int4" });
    const before = cached(folder);
    utimesSync(join(folder, "model.safetensors"), 1, 1);
    await openModel(folder, { weights: "int8" });
    const after = cached(folder);
    expect(after).toHaveLength(2);
    expect(after.filter((name) => before.includes(name))).toEqual([
      before.find((name) => name.startsWith("int4")),
    ]);
  });

  test("are made anew when their file is damaged", async () => {
    const folder = tinyModelFolder();
    const { frozen } = await openModel(folder, { weights: "int8" });
    const path = join(folder, ".facet", cached(folder)[0]!);
    const whole = readFileSync(path);
    const damages = [() => truncateSync(path, 1000), () => writeFileSync(path, "")];
    for (const damage of damages) {
      damage();
      expect((await openModel(folder, { weights: "int8" })).frozen).toEqual(frozen);
      expect(readFileSync(path).equals(whole)).toBe(true);
    }
  });

  test.skipIf(process.getuid?.() === 0)(
    "of a folder that cannot be written lie in the user's cache",
    async () => {
      const folder = tinyModelFolder();
      chmodSync(folder, 0o555);
      const { frozen } = await openModel(folder, { weights: "int4" });
      chmodSync(folder, 0o755);
      expect((frozen.get(projection) as QuantizedTensor).values.file.startsWith(home)).toBe(true);
    },
  );

  test("of a folder that has a file where theirs would be lie in the user's cache", async () => {
    const folder = tinyModelFolder();
    writeFileSync(join(folder, ".facet"), "");
    const { frozen } = await openModel(folder, { weights: "int4" });
    const { file } = (frozen.get(projection) as QuantizedTensor).values;
    expect(dirname(dirname(file))).toBe(join(home, "weights"));
    const again = await openModel(folder, { weights: "int4" });
    expect(again.frozen).toEqual(frozen);
  });

  test("of the model that ships with Facet lie in the user's cache", async () => {
    const { frozen, folder } = await openModel("facet_nano_en", { weights: "int4" });
    expect((frozen.get(projection) as QuantizedTensor).values.file.startsWith(home)).toBe(true);
    expect(existsSync(join(folder, ".facet"))).toBe(false);
  });

  test("are refused where there is no place for them, and what to do is said", async () => {
    const folder = tinyModelFolder();
    writeFileSync(join(folder, ".facet"), "");
    writeFileSync(join(home, "weights"), "");
    await expect(openModel(folder, { weights: "int4" })).rejects.toThrow(
      /^Cannot make the folder .*weights.*Choose another place with FACET_HOME\.$/,
    );
  });
});

describe("weights of a GGUF file", () => {
  async function tinyGguf(type: "Q8_0" | "Q4_0") {
    const path = join(temporaryFolder(), "tiny.gguf");
    writeGguf(path, readHuggingFace(tinyModelFolder()), { type });
    return path;
  }

  test.each([
    ["Q8_0", "int8", 8, 8],
    ["Q4_0", "int4", 4, 8],
  ] as const)(
    "of type %s are taken as they are for %s, the wider embedding too",
    async (type, weights, bits, embeddingBits) => {
      const path = await tinyGguf(type);
      const { frozen } = await openModel(path, { weights, cache: join(home, "c") });
      const { tensors } = readGguf(path);
      for (const [name, wanted] of [
        [projection, bits],
        [embedding, embeddingBits],
      ] as const) {
        const weight = frozen.get(name) as QuantizedTensor;
        expect(weight.bits).toBe(wanted);
        const values = valuesOf(weight);
        expect(values.map((x) => x + 0)).toEqual(readWhole(tensors.get(name)!).map((x) => x + 0));
      }
      expect(readFloat32(frozen.get(norm) as TensorInfo)).toEqual(readWhole(tensors.get(norm)!));
    },
  );

  test("of another type are quantised from what they stand for", async () => {
    const path = await tinyGguf("Q8_0");
    const { frozen } = await openModel(path, { weights: "int4", cache: join(home, "c") });
    expect(frozen.get(embedding)).toMatchObject({ bits: 4 });
    expect(frozen.get(projection)).toMatchObject({ bits: 4 });
  });
});
