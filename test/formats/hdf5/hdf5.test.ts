import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { hdf5Integer, hdf5Tensor } from "../../../src/formats/hdf5/hdf5Tensor.js";
import type { Hdf5DatasetToWrite, Hdf5GroupToWrite } from "../../../src/formats/hdf5/layout.js";
import { type Hdf5Group, readHdf5 } from "../../../src/formats/hdf5/readHdf5.js";
import { writeHdf5 } from "../../../src/formats/hdf5/writeHdf5.js";
import { readWhole } from "../../../src/formats/storedTensor.js";
import { temporaryFolder } from "../temporaryFolder.js";

const at = temporaryFolder();
const fixture = (name: string) =>
  new URL(`../../fixtures/keras_gemma1_tiny/${name}`, import.meta.url).pathname;

const floats = (...values: number[]): Hdf5DatasetToWrite => ({
  ...{ kind: "dataset", type: "F32", shape: [values.length] },
  data: () => [Float32Array.from(values)],
});
const group = (
  members: Record<string, Hdf5GroupToWrite | Hdf5DatasetToWrite>,
): Hdf5GroupToWrite => ({
  kind: "group",
  members: new Map(Object.entries(members)),
});

/** Every path in the file, as the HDF5 library sees it, with shape, data and attributes. */
async function asTheLibrarySees(path: string) {
  const h5wasm = await import("h5wasm");
  const { FS } = await h5wasm.ready;
  FS.writeFile("/seen.h5", readFileSync(path));
  const file = new h5wasm.File("/seen.h5", "r");
  const seen = new Map<string, unknown>();
  const visit = (name: string) => {
    const found = file.get(name === "" ? "/" : name)!;
    const attributes = Object.fromEntries(
      Object.entries((found as InstanceType<typeof h5wasm.Group>).attrs).map(([key, a]) => [
        key,
        a.value,
      ]),
    );
    if (found instanceof h5wasm.Dataset) {
      seen.set(name, { shape: found.shape, value: found.value, attributes });
    } else {
      seen.set(name, { attributes });
      for (const key of (found as InstanceType<typeof h5wasm.Group>).keys())
        visit(`${name}/${key}`);
    }
  };
  visit("");
  file.close();
  FS.unlink("/seen.h5");
  return seen;
}

/** As this reader sees it. */
function paths(root: Hdf5Group, name = ""): string[] {
  return [...root.members].flatMap(([key, member]) => [
    `${name}/${key}`,
    ...(member.kind === "group" ? paths(member, `${name}/${key}`) : []),
  ]);
}

describe("reading files that Keras wrote", () => {
  it.each(["adapter.lora.h5", "preset/model.weights.h5", "lora_model.weights.h5"])(
    "finds in %s what the HDF5 library finds",
    async (name) => {
      const theirs = await asTheLibrarySees(fixture(name));
      const root = readHdf5(fixture(name));
      expect(paths(root).sort()).toEqual([...theirs.keys()].filter((path) => path !== "").sort());
      const compare = (member: Hdf5Group, path: string) => {
        for (const [key, child] of member.members) {
          const seen = theirs.get(`${path}/${key}`) as {
            shape?: number[];
            value?: Float32Array;
            attributes: object;
          };
          expect(Object.fromEntries(child.attributes)).toEqual(seen.attributes);
          if (child.kind === "group") compare(child, `${path}/${key}`);
          else {
            expect(child.shape).toEqual(seen.shape);
            if (child.type !== "F32") continue;
            const value =
              seen.shape?.length === 0 ? Float32Array.of(Number(seen.value)) : seen.value;
            expect(readWhole(hdf5Tensor(child, key))).toEqual(value);
          }
        }
      };
      compare(root, "");
    },
  );
});

describe("writing", () => {
  it("gives the HDF5 library, and this reader, what was written", async () => {
    const rank = { kind: "dataset", type: "I64", shape: [] } as const;
    const bits = { kind: "dataset", type: "BF16", shape: [2, 2] } as const;
    const root = group({
      lora: group({
        vars: group({
          rank: { ...rank, data: () => [new Uint8Array(BigInt64Array.of(4n).buffer)] },
        }),
        "10": group({ a: { ...floats(1, 2, 3), shape: [1, 3] }, b: floats() }),
        é: {
          ...group({}),
          attributes: new Map([
            ["name", "größe"],
            ["dtype", "x"],
          ]),
        },
      }),
      half: {
        ...bits,
        data: () => [Float32Array.of(1, -2), Float32Array.of(0.5, 4)],
        attributes: new Map([["dtype", "bfloat16"]]),
      },
    });
    writeHdf5(at("w.h5"), root);
    const seen = await asTheLibrarySees(at("w.h5"));
    expect([...seen.keys()].sort()).toEqual(
      [
        "",
        "/half",
        "/lora",
        "/lora/10",
        "/lora/10/a",
        "/lora/10/b",
        "/lora/vars",
        "/lora/vars/rank",
        "/lora/é",
      ].sort(),
    );
    expect(seen.get("/lora/10/a")).toEqual({
      shape: [1, 3],
      value: Float32Array.of(1, 2, 3),
      attributes: {},
    });
    expect(seen.get("/lora/é")).toEqual({ attributes: { name: "größe", dtype: "x" } });
    expect(seen.get("/lora/vars/rank")).toMatchObject({ value: 4n, shape: [] });

    const read = readHdf5(at("w.h5"));
    const half = read.members.get("half")!;
    const lora = read.members.get("lora") as Hdf5Group;
    const vars = lora.members.get("vars") as Hdf5Group;
    if (half.kind !== "dataset") throw new Error();
    expect([...readWhole(hdf5Tensor(half, "half"))]).toEqual([1, -2, 0.5, 4]);
    expect([half.type, half.attributes.get("dtype")]).toEqual(["BF16", "bfloat16"]);
    const number = vars.members.get("rank")!;
    expect(number.kind === "dataset" && hdf5Integer(number)).toBe(4);
    expect(lora.members.get("é")!.attributes.get("name")).toBe("größe");
  });

  it.each([1, 8, 9, 256, 257, 700])("a group may have %d members", async (count) => {
    const names = Array.from({ length: count }, (_, i) => `layer_${i}`);
    writeHdf5(at("many.h5"), group(Object.fromEntries(names.map((name, i) => [name, floats(i)]))));
    const read = readHdf5(at("many.h5"));
    expect([...read.members.keys()].sort()).toEqual([...names].sort());
    const seen = await asTheLibrarySees(at("many.h5"));
    names.forEach((name, i) => {
      expect(seen.get(`/${name}`)).toMatchObject({ value: Float32Array.of(i) });
    });
  });

  it("refuses data that do not fill their shape, and leaves no file", () => {
    const bad = group({ a: { ...floats(1, 2), shape: [3] } });
    expect(() => writeHdf5(at("bad.h5"), bad)).toThrow(/\/a has 8 bytes, not the 12 of \[3\]/);
    expect(() => readFileSync(at("bad.h5"))).toThrow();
  });
});

describe("files that are no weights of Keras are refused", () => {
  it("other files, newer kinds of HDF5, types and storage that Keras does not use", async () => {
    writeFileSync(at("x.h5"), "no");
    expect(() => readHdf5(at("x.h5"))).toThrow(/x\.h5: it is not an HDF5 file/);
    const h5wasm = await import("h5wasm");
    const { FS } = await h5wasm.ready;
    new h5wasm.File("/new.h5", "w").close();
    writeFileSync(at("new.h5"), FS.readFile("/new.h5"));
    expect(() => readHdf5(at("new.h5"))).toThrow(/newer kind of HDF5/);
  });

  it("a tree of names that is deeper than any", () => {
    writeHdf5(at("deep.h5"), group({ a: floats(1) }));
    const base = readFileSync(at("deep.h5"));
    const count = 50_000;
    const deep = Buffer.concat([base, Buffer.alloc(48 * count)]);
    const tree = BigInt(base.indexOf("TREE"));
    for (let i = 0; i < count; i++) {
      const at = base.length + 48 * i;
      deep.set([...Buffer.from("TREE"), 0, 1, 1], at);
      deep.writeBigUInt64LE(i + 1 < count ? BigInt(at + 48) : tree, at + 32);
    }
    // The header of the root says where its tree is.
    for (let at = 96; at + 8 <= base.length; at += 8) {
      if (base.readBigUInt64LE(at) === tree) deep.writeBigUInt64LE(BigInt(base.length), at);
    }
    writeFileSync(at("deep.h5"), deep);
    expect(() => readHdf5(at("deep.h5"))).toThrow(/the tree of \/ contains itself/);
  });

  it("parts that lie over each other, which would be read again and again", () => {
    const long = "x".repeat(100_000);
    const attributes = new Map(Array.from({ length: 500 }, (_, i) => [`a${i}`, long]));
    writeHdf5(at("over.h5"), { ...group({}), attributes });
    expect(() => readHdf5(at("over.h5"))).toThrow(FacetError);
    expect(() => readHdf5(at("over.h5"))).toThrow(/its parts lie over each other/);
  });

  it("a group that contains itself", () => {
    writeHdf5(at("loop.h5"), group({ a: group({ b: group({}) }) }));
    const bytes = readFileSync(at("loop.h5"));
    const root = bytes.readBigUInt64LE(64);
    // Wherever a table names an object, let it name the root.
    let changed = 0;
    for (let i = bytes.indexOf("SNOD"); i >= 0; i = bytes.indexOf("SNOD", i + 1)) {
      if (bytes.readUInt16LE(i + 6) > 0) bytes.writeBigUInt64LE(root, i + 16);
      changed++;
    }
    expect(changed).toBeGreaterThan(1);
    writeFileSync(at("loop.h5"), bytes);
    expect(() => readHdf5(at("loop.h5"))).toThrow(FacetError);
    expect(() => readHdf5(at("loop.h5"))).toThrow(/contains itself/);
  });
});
