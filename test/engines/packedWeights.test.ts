import { mkdirSync, readdirSync, statSync, truncateSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import {
  crossEntropy,
  gatherRows,
  gradients,
  input,
  matmul,
  type Program,
  program,
  symbol,
  type Tensor,
} from "../../src/graph/index.js";
import { temporaryFolder } from "../support/modelFolder.js";
import { anonymousMemory, writeMatrices } from "../support/weightFile.js";

const [N, size] = [symbol("N"), 160];

/** A small model's step: an embedding, one layer with an adapter, and the embedding again as the head. */
function step([embedding, layer]: readonly Tensor[]): Program {
  const ids = input("ids", [N], "int32");
  const adapter = input("a", [size, size]);
  const hidden = matmul(gatherRows(embedding!, ids), adapter);
  const y = matmul(hidden, layer!, { transposeB: true });
  const weights = input("weights", [N]);
  const { loss } = crossEntropy(y, embedding!, ids, weights, { chunkRows: 2 });
  return program({ loss, da: gradients(loss, [adapter])[0]! });
}

const a = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i) / 20);
const inputs = {
  ids: { data: Int32Array.of(3, 1, 4, 1, 5), shape: [5] },
  weights: { data: new Float32Array(5).fill(0.2), shape: [5] },
  a: { data: a, shape: [size, size] },
};

async function run(
  p: Program,
  prepackWeights: NonNullable<Parameters<typeof onnxEngine>[0]>["prepackWeights"],
  runsOften = true,
) {
  const engine = onnxEngine({ threads: 1, prepackWeights: prepackWeights ?? false });
  const executable = await engine.compile(p, { runsOften });
  const outputs = await executable.run(inputs);
  await executable.close();
  return outputs;
}

function matrices(dtype: "F32" | "BF16" = "F32") {
  const folder = temporaryFolder();
  const shape = { rows: size, columns: size };
  const { path, weights } = writeMatrices(folder, { dtype, count: 2, ...shape });
  const packs = join(temporaryFolder(), "packed");
  const notices: string[] = [];
  return { path, p: step(weights), packs, notices, folder: toFolder(packs, notices) };
}

const toFolder = (folder: string, notices: string[]) => ({
  folder,
  onNotice: (text: string) => notices.push(text),
});

const files = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => [name, statSync(join(folder, name)).mtimeMs]);

describe("packed weights", () => {
  test("give what weights packed in memory give, to the bit", async () => {
    const { p, packs, folder, notices } = matrices();
    const inMemory = await run(p, true);
    const onDisk = await run(p, folder);
    expect(onDisk).toEqual(inMemory);
    expect(notices).toEqual(["Packing the weights for products, once."]);
    expect(files(packs).map(([name]) => (name as string).replace(/^\w+/, ""))).toEqual([
      ...[".bin", ".json"],
      ...[".bin", ".json"],
    ]);
  });

  test("are made once, whatever program uses the weights next", async () => {
    const { p, packs, folder, notices } = matrices();
    const first = await run(p, folder);
    const before = files(packs);
    expect(await run(program({ da: p.outputs.get("da")! }), folder)).toEqual({ da: first.da });
    expect(files(packs)).toEqual(before);
    expect(notices).toHaveLength(1);
  });

  test("are for programs that run often", async () => {
    const { p, packs, folder } = matrices();
    mkdirSync(packs);
    await run(p, folder, false);
    expect(readdirSync(packs)).toEqual([]);
  });

  test("are made anew when the model's file has changed, and the old ones are removed", async () => {
    const { path, p, packs, folder, notices } = matrices();
    await run(p, folder);
    const before = files(packs).map(([name]) => name);
    utimesSync(path, new Date(), new Date(Date.now() + 5000));
    await run(p, folder);
    expect(notices).toHaveLength(2);
    const after = files(packs).map(([name]) => name);
    expect(after).toHaveLength(before.length);
    for (const name of before) expect(after).not.toContain(name);
  });

  test("do without what a killed process left half done", async () => {
    const { p, packs, folder } = matrices();
    const left = join(packs, ".packing-abc");
    mkdirSync(left, { recursive: true });
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(left, longAgo, longAgo);
    await run(p, folder);
    expect(readdirSync(packs)).not.toContain(".packing-abc");
  });

  test("do not stand for a file that ends inside a weight too small to pack", async () => {
    const whole = temporaryFolder();
    const { path, weights } = writeMatrices(whole, {
      dtype: "F32",
      count: 1,
      rows: 16,
      columns: 16,
    });
    const y = matmul(input("x", [N, 16]), weights[0]!);
    truncateSync(path, statSync(path).size - 4);
    const engine = onnxEngine({ prepackWeights: { folder: join(temporaryFolder(), "packed") } });
    const compiled = engine.compile(program({ y }), { runsOften: true });
    await expect(compiled).rejects.toThrow(/ends inside a weight/);
  });

  test("are float32: others are used as they are, and that is said", async () => {
    const { p, folder, notices, packs } = matrices("BF16");
    expect(await run(p, folder)).toEqual(await run(p, false));
    expect(notices[0]).toMatch(/float32 only.*--weights f32/);
    expect(() => readdirSync(packs)).toThrow();
  });

  test("are mapped: no session holds a copy of its own", async () => {
    const folder = temporaryFolder();
    const shape = { rows: 2048, columns: 2048 };
    const { weights } = writeMatrices(folder, { dtype: "F32", count: 8, ...shape });
    const x = input("x", [N, 2048]);
    const y = weights.reduce(
      (h, w) => matmul(h, w, { transposeB: true, scale: 0.01 }),
      x as Tensor,
    );
    const engine = onnxEngine({
      threads: 1,
      prepackWeights: { folder: join(temporaryFolder(), "packed") },
    });
    const p = program({ y });
    await (await engine.compile(p, { runsOften: true })).close();
    const before = anonymousMemory();
    const executable = await engine.compile(p, { runsOften: true });
    // The matrices are 128 MiB; one after the other was packed to be compared with the file.
    expect(anonymousMemory() - before).toBeLessThan(64 * 2 ** 20);
    await executable.close();
  });
});
