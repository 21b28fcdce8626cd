import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { freemem } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type FileRegion,
  input,
  matmul,
  type Node,
  type Program,
  program,
  symbol,
} from "../../graph/index.js";
import type { PackedLayout } from "./builder.js";
import { type PackedWeight, type PackedWeights, toOnnx } from "./compile.js";
import { ModelProtoSchema } from "./onnx_pb.js";
import { openOrtSession } from "./ortSession.js";

/** Where packed weights are kept. */
export interface PackFolder {
  readonly folder: string;
  /** Told what is packed, or why nothing is. */
  readonly onNotice?: (text: string) => void;
}

/** Smaller weights, such as norms, gain nothing; they are written into the model. */
const leastBytes = 2 ** 16;
/** The weight itself, and packed for either direction. */
const copies = 3;
const spareDisk = 2 ** 30;

/**
 * The packed copies of the program's weights, made where they are missing: one file for each weight,
 * by ONNX Runtime itself, which checks at each start that they are what it would have made. Undefined,
 * with a notice, where weights are not float32 or there is no room.
 */
export async function packWeights(
  { nodes }: Program,
  { folder, onNotice = () => {} }: PackFolder,
): Promise<PackedWeights | undefined> {
  const stored = nodes.filter((node) => node.attributes.region !== undefined);
  if (stored.some((node) => node.outputs[0]!.dtype !== "float32")) {
    onNotice("Weights are packed in float32 only: these are not (--weights f32 makes them so).");
    return undefined;
  }
  const large = stored.filter((node) => regionOf(node).byteLength >= leastBytes);
  mkdirSync(folder, { recursive: true });
  forgetOutdated(folder);
  const missing = large.filter((node) => !existsSync(join(folder, `${idOf(node)}.json`)));
  const problem = noRoom(missing, folder);
  if (problem !== undefined) {
    onNotice(`The weights are not packed: ${problem}.`);
    return undefined;
  }
  if (missing.length > 0) onNotice("Packing the weights for products, once.");
  for (const node of missing) await pack(node, folder);
  return {
    folder,
    weights: new Map(large.map((node) => [node.attributes.name as string, open(node, folder)])),
  };
}

const regionOf = (node: Node) => node.attributes.region as FileRegion;

function noRoom(missing: readonly Node[], folder: string): string | undefined {
  const sizes = missing.map((node) => copies * regionOf(node).byteLength);
  const disk = sizes.reduce((sum, size) => sum + size, 0) + spareDisk;
  const { bavail, bsize } = statfsSync(folder);
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  if (missing.length > 0 && disk > bavail * bsize) {
    return `that needs ${gib(disk)} in ${folder}, where ${gib(bavail * bsize)} are free`;
  }
  const memory = Math.max(0, ...sizes);
  if (memory > freemem()) {
    return `that needs ${gib(memory)} of memory, of which ${gib(freemem())} are free`;
  }
  return undefined;
}

interface Index {
  /** The file that the weight comes from, and what it was when the copy was made. */
  readonly source: string;
  readonly stamp: string;
  readonly offset: number;
  readonly packed: readonly PackedLayout[];
}

const runtimeVersion = (
  createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string }
).version;

function stampOf(file: string): string {
  const { size, mtimeMs, ino } = statSync(file);
  return [runtimeVersion, size, mtimeMs, ino].join();
}

function idOf(node: Node): string {
  const { file, offset, byteLength } = regionOf(node);
  const facts = [file, stampOf(file), offset, byteLength, node.outputs[0]!.shape];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 24);
}

function open(node: Node, folder: string): PackedWeight {
  const id = idOf(node);
  const index = JSON.parse(readFileSync(join(folder, `${id}.json`), "utf8")) as Index;
  const { byteLength } = regionOf(node);
  const region = { file: join(folder, `${id}.bin`), offset: index.offset, byteLength };
  return { region, packed: index.packed };
}

/** Lets ONNX Runtime open a program of the weight's two products and write it again, packed. */
async function pack(node: Node, folder: string): Promise<void> {
  const [rows, columns] = node.outputs[0]!.shape as [number, number];
  const weight = node.outputs[0]!;
  const N = symbol("N");
  const forward = matmul(input("x", [N, columns]), weight, { transposeB: true });
  const backward = matmul(input("y", [N, rows]), weight);
  const { bytes, weightFolder } = toOnnx(program({ forward, backward }));
  const work = mkdtempSync(join(folder, ".packing-"));
  try {
    const model = join(work, "model.onnx");
    const session = await openOrtSession(bytes, {
      ...{ weightFolder, packsWeights: true, keepsBuffers: false },
      saveTo: { model, weights: "weights.bin" },
    });
    await session.release();
    const { graph } = fromBinary(ModelProtoSchema, readFileSync(model));
    const saved = graph!.initializer.find(({ externalData }) => externalData.length > 0)!;
    const entry = (key: string) => saved.externalData.find((one) => one.key === key)?.value;
    const { file } = regionOf(node);
    const index: Index = {
      source: file,
      stamp: stampOf(file),
      offset: Number(entry("offset")),
      packed: saved.externalData
        .filter(({ key }) => key!.startsWith("prepacked_"))
        .map(({ key, value }) => ({ key: key!, value: value! })),
    };
    const id = idOf(node);
    writeFileSync(join(work, "index.json"), JSON.stringify(index));
    for (const name of ["weights.bin", "index.json"]) sync(join(work, name));
    renameSync(join(work, "weights.bin"), join(folder, `${id}.bin`));
    // The index comes last: with it the copy is whole.
    renameSync(join(work, "index.json"), join(folder, `${id}.json`));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function sync(file: string): void {
  const descriptor = openSync(file, "r+");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const anHour = 3_600_000;

/** Removes copies of weights whose files are gone or have changed, and what a killed process left. */
function forgetOutdated(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith(".packing-") && statSync(path).mtimeMs < Date.now() - anHour) {
      rmSync(path, { recursive: true, force: true });
    }
    if (!name.endsWith(".json")) continue;
    const { source, stamp } = JSON.parse(readFileSync(path, "utf8")) as Index;
    if (existsSync(source) && stampOf(source) === stamp) continue;
    for (const file of [name, name.replace(".json", ".bin")]) rmSync(join(folder, file));
  }
}
