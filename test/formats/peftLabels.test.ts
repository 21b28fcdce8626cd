import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPeft, writePeft } from "../../src/adapters/peft.js";
import { headName } from "../../src/formats/peftLabels.js";
import { readFloat32, readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { readWhole, tensorOf } from "../../src/formats/storedTensor.js";
import { toPeft } from "../../src/lora/peft.js";
import { temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const { matrices } = toPeft(tiny.adapter("qv"));
const head = Float32Array.from({ length: 3 * 64 }, (_, i) => Math.sin(i));
const whole = new Map([[headName, tensorOf([3, 64], head)]]);

async function written(labels?: readonly string[]): Promise<string> {
  const folder = join(temporaryFolder(), "adapter");
  const file = { matrices, baseModel: "base", whole, ...(labels && { labels }) };
  await writePeft(folder, file, tiny.modules);
  return folder;
}

/** The folder with other labels beside its tensors. */
async function withMetadata(text: string): Promise<string> {
  const folder = await written();
  const file = join(folder, "adapter_model.safetensors");
  const tensors = [...readSafetensorsHeader(file).tensors.values()].map((info) => ({
    ...{ name: info.name, dtype: "F32" as const, shape: info.shape, data: readFloat32(info) },
  }));
  writeSafetensors(file, tensors, { "facet.labels": text });
  return folder;
}

describe("a classifier's PEFT folder", () => {
  test("is read back with its head and the names of its classes", async () => {
    const read = readPeft(await written(["bad", "fine", "__proto__"]), tiny.modules);
    expect(read.labels).toEqual(["bad", "fine", "__proto__"]);
    expect(readWhole(read.whole!.get(headName)!)).toEqual(head);
  });

  test("without names, as PEFT writes it, has numbers for them", async () => {
    const folder = await written();
    const path = join(folder, "adapter_config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    // PEFT's own list for the task.
    writeFileSync(path, JSON.stringify({ ...config, modules_to_save: ["classifier", "score"] }));
    expect(readPeft(folder, tiny.modules).labels).toEqual(["0", "1", "2"]);
  });

  test.each(["no JSON", '["a","b"]', '["a","a","b"]', '["a","b",3]', '{"a":1}', "null"])(
    "with the names %s is refused",
    async (text) => {
      const folder = await withMetadata(text);
      expect(() => readPeft(folder, tiny.modules)).toThrow(
        /facet\.labels is .*, not a list of 3 different names for the rows of score\.weight/,
      );
    },
  );

  test("whose head is no matrix is refused", async () => {
    const folder = join(temporaryFolder(), "adapter");
    const flat = new Map([[headName, tensorOf([192], head)]]);
    await writePeft(folder, { matrices, baseModel: "base", whole: flat }, tiny.modules);
    expect(() => readPeft(folder, tiny.modules)).toThrow(
      /"score\.weight" is \[192\], not a matrix/,
    );
  });
});
