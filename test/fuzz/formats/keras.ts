import { join } from "node:path";
import { readKerasAdapter, writeKerasAdapter } from "../../../src/adapters/keras.js";
import { readKerasPreset } from "../../../src/checkpoints/keras.js";
import { writeKerasPreset } from "../../../src/checkpoints/kerasWriting.js";
import { hdf5Integer, hdf5Tensor } from "../../../src/formats/hdf5/hdf5Tensor.js";
import { type Hdf5Group, readHdf5 } from "../../../src/formats/hdf5/readHdf5.js";
import { writeHdf5 } from "../../../src/formats/hdf5/writeHdf5.js";
import { emptyAdapter } from "../../../src/lora/adapter.js";
import type { FamilyName } from "../../../src/models/gemma/family.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import { fileOf, fixture, tinyCheckpoint, tinyModules, written } from "../tinyModel.js";
import { useTensor } from "../use.js";

const file = "model.weights.h5";

const dataset = (type: "F32" | "F16" | "BF16" | "I64", shape: readonly number[]) => {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = type === "I64" ? new Uint8Array(8 * length) : new Float32Array(length);
  const attributes = new Map([["dtype", type]]);
  return { kind: "dataset", type, shape, data: () => [data], attributes } as const;
};

const group = (members: Hdf5GroupMembers, attributes = new Map<string, string>()) =>
  ({ kind: "group", members: new Map(Object.entries(members)), attributes }) as const;
type Hdf5GroupMembers =
  Parameters<typeof writeHdf5>[1]["members"] extends ReadonlyMap<string, infer Member>
    ? Record<string, Member>
    : never;

function useGroup({ members, attributes }: Hdf5Group): void {
  for (const [key, value] of attributes) {
    expectThat(typeof key === "string" && typeof value === "string", "text");
  }
  for (const [name, member] of members) {
    if (member.kind === "group") useGroup(member);
    else if (["F32", "F16", "BF16"].includes(member.type)) useTensor(hdf5Tensor(member, name));
    else hdf5Integer(member);
  }
}

export const hdf5: FuzzedFormat = {
  name: "hdf5",
  seeds: async () => [
    await written((folder) =>
      writeHdf5(
        join(folder, file),
        group(
          {
            a: group({ rank: dataset("I64", []), w: dataset("F32", [2, 3]) }),
            b: dataset("F16", [4]),
            c: group({ d: group({ e: dataset("BF16", [1, 2, 2]) }) }),
          },
          new Map([["name", "é"]]),
        ),
      ),
    ),
    // Names for more than one table of symbols.
    await written((folder) => {
      const many = Array.from({ length: 10 }, (_, i) => [`n${i}`, dataset("F32", [])]);
      writeHdf5(join(folder, file), group(Object.fromEntries(many)));
    }),
    fileOf(file, fixture("keras_gemma1_tiny/adapter.lora.h5")),
  ],
  read: (folder) => useGroup(readHdf5(join(folder, file))),
};

const adapterFile = "adapter.lora.h5";
const modules = tinyModules("gemma");

export const kerasAdapter: FuzzedFormat = {
  name: "keras-adapter",
  seeds: async () => [
    await written((folder) => {
      const config = { rank: 2, alpha: 2, layout: "keras", targets: ["q_proj", "v_proj"] } as const;
      writeKerasAdapter(join(folder, adapterFile), emptyAdapter(config, modules));
    }),
  ],
  read(folder) {
    const { parameters } = readKerasAdapter(join(folder, adapterFile), modules);
    const length = parameters.slots.reduce((sum, slot) => sum + slot.length, 0);
    expectThat(parameters.values.length === length, "values for every variable");
  },
};

/** The files of a preset that Facet reads. */
async function preset(family: FamilyName, options: Parameters<typeof writeKerasPreset>[2]) {
  const files = await written((folder) =>
    writeKerasPreset(folder, tinyCheckpoint(family), options),
  );
  return new Map(
    [...files].filter(([name]) =>
      /^(config\.json|.*\.h5|model\.weights\.json|.*\.spm)$/.test(name),
    ),
  );
}

export const kerasPreset: FuzzedFormat = {
  name: "keras-preset",
  seeds: () =>
    Promise.all([
      preset("gemma", { dtype: "F32" }),
      preset("gemma", { dtype: "BF16", shardBytes: 200 }),
      preset("gemma2", { dtype: "F16" }),
      preset("gemma3_text", { dtype: "F32" }),
    ]),
  read(folder) {
    for (const tensor of readKerasPreset(folder).tensors.values()) useTensor(tensor);
  },
};
