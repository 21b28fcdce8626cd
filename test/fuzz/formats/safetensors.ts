import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "../../../src/formats/checkpoint.js";
import {
  readFloat32,
  readSafetensorsHeader,
  readTensor,
  storedTensor,
  type TensorInfo,
} from "../../../src/formats/safetensors.js";
import { STORAGE } from "../../../src/formats/safetensorsLayout.js";
import { writeSafetensors } from "../../../src/formats/safetensorsWriting.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import { fileOf, fixture, written } from "../tinyModel.js";
import { useTensor } from "../use.js";

const shapes = [[2, 3], [4], [], [0, 5], [1, 1, 2]];

/** One tensor of every type. */
const everyType = Object.entries(STORAGE).map(([dtype, List], i) => {
  const shape = shapes[i % shapes.length]!;
  const length = shape.reduce((product, size) => product * size, 1);
  return {
    name: `t.${dtype}`,
    dtype: dtype as keyof typeof STORAGE,
    shape,
    data: new List(length),
  };
});

function useStored(info: TensorInfo): void {
  const count = info.shape.reduce((product, size) => product * size, 1);
  expectThat(readTensor(info).length === count, "as many elements as the shape says");
  if (!["F32", "F16", "BF16", "F64"].includes(info.dtype)) return;
  expectThat(readFloat32(info).length === count, "as many numbers as the shape says");
  if (info.dtype !== "F64") useTensor(storedTensor(info));
}

const file = "model.safetensors";

export const safetensors: FuzzedFormat = {
  name: "safetensors",
  seeds: async () => [
    await written((folder) =>
      writeSafetensors(join(folder, file), everyType.slice(0, 5), { format: "pt", a: "b" }),
    ),
    await written((folder) => writeSafetensors(join(folder, file), everyType)),
    fileOf(file, fixture("gemma1_tiny/peft_qv/adapter_model.safetensors")),
  ],
  read(folder) {
    const { tensors, metadata } = readSafetensorsHeader(join(folder, file));
    for (const value of Object.values(metadata)) expectThat(typeof value === "string", "text");
    for (const info of tensors.values()) useStored(info);
  },
};

const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;

/** A model in several files with their index, which names them. */
export const safetensorsShards: FuzzedFormat = {
  name: "safetensors-shards",
  seeds: async () => [
    await written((folder) => {
      writeSafetensors(join(folder, shards[0]), everyType.slice(0, 2));
      writeSafetensors(join(folder, shards[1]), everyType.slice(2, 4));
      const places = everyType.slice(0, 4).map(({ name }, i) => [name, shards[i >> 1]]);
      const index = { metadata: { total_size: 9 }, weight_map: Object.fromEntries(places) };
      writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
    }),
  ],
  read(folder) {
    for (const info of openCheckpoint(folder).values()) useStored(info);
  },
};
