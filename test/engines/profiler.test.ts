import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import type { ProgramProfile } from "../../src/engines/profile.js";
import {
  crossEntropy,
  exp,
  gradients,
  input,
  matmul,
  multiply,
  program,
  symbol,
  weight,
} from "../../src/graph/index.js";

const R = symbol("R");

function step() {
  const [x, w] = [input("x", [R, 32]), input("w", [32, 16])];
  const { loss } = crossEntropy(
    exp(multiply(matmul(x, w), 0.1)),
    input("table", [50, 16]),
    input("targets", [R], "int32"),
    input("weights", [R]),
    { chunkRows: 3 },
  );
  return program({ loss, dw: gradients(loss, [w])[0]! });
}

const inputs = (rows: number) => ({
  x: { data: new Float32Array(rows * 32).fill(0.1), shape: [rows, 32] },
  w: { data: new Float32Array(32 * 16).fill(0.2), shape: [32, 16] },
  table: { data: new Float32Array(50 * 16).fill(0.3), shape: [50, 16] },
  targets: { data: new Int32Array(rows), shape: [rows] },
  weights: { data: new Float32Array(rows).fill(1), shape: [rows] },
});

async function profilesOf(rows: readonly number[]): Promise<ProgramProfile[]> {
  const profiles: ProgramProfile[] = [];
  const engine = onnxEngine({ threads: 1, onProfile: (profile) => profiles.push(profile) });
  const executable = await engine.compile(step(), { name: "step" });
  for (const count of rows) await executable.run(inputs(count));
  await executable.close();
  return profiles;
}

const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith("facet-profile-"));

describe("a profile", () => {
  test("gives the time of each operation of the program, forward and backward", async () => {
    const before = leftovers();
    const [profile, ...others] = await profilesOf([4, 5, 7]);
    expect(others).toEqual([]);
    expect(profile!.program).toBe("step");
    const found = profile!.operations.map(({ operation, phase }) => `${operation} ${phase}`);
    for (const name of ["matmul forward", "matmul backward", "crossEntropy forward", "exp forward"])
      expect(found).toContain(name);
    expect(new Set(found).size).toBe(found.length);
    expect(profile!.operations.every((operation) => operation.milliseconds >= 0)).toBe(true);
    const sum = profile!.operations.reduce((total, { milliseconds }) => total + milliseconds, 0);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(profile!.milliseconds);
    expect(leftovers()).toEqual(before);
  });

  test("leaves out the first run, and counts the work of the others", async () => {
    const [profile] = await profilesOf([4, 5, 7]);
    expect(profile!.runs).toBe(2);
    const of = (name: string, phase: string) =>
      profile!.operations.find((one) => one.operation === name && one.phase === phase)!;
    expect(of("matmul", "forward").flops).toBe(2 * 6 * 32 * 16);
    expect(of("matmul", "backward").flops).toBe(2 * 6 * 32 * 16);
    expect(of("crossEntropy", "forward").flops).toBe(4 * 6 * 50 * 16);
    expect(of("exp", "forward").bytes).toBe(2 * 4 * 6 * 16);
  });

  test("comes when there are enough runs, without waiting for the end", async () => {
    const [profile, ...others] = await profilesOf(new Array(13).fill(2));
    expect(profile!.runs).toBe(10);
    expect(others).toEqual([]);
  });

  test("of a program that does not open leaves nothing behind", async () => {
    const before = leftovers();
    const region = { file: "/nowhere/weights.safetensors", offset: 0, byteLength: 256 };
    const y = matmul(input("x", [R, 8]), weight("w", [8, 8], "float32", region));
    const engine = onnxEngine({ threads: 1, onProfile: () => {} });
    await expect(engine.compile(program({ y }))).rejects.toThrow(/could not open/);
    expect(leftovers()).toEqual(before);
  });

  test("of a program that never ran is none", async () => {
    expect(await profilesOf([])).toEqual([]);
  });
});
