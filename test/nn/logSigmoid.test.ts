import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { gradients, input, program, reshape, sum, type Tensor } from "../../src/graph/index.js";
import { logOdds } from "../../src/nn/logOdds.js";
import { logSigmoid } from "../../src/nn/logSigmoid.js";

async function computed(f: (x: Tensor) => Tensor, values: readonly number[]) {
  const x = input("x", [values.length]);
  const y = f(x);
  const [dx] = gradients(reshape(sum(y), []), [x]);
  const executable = await onnxEngine({ threads: 1 }).compile(program({ y, dx: dx! }));
  const data = Float32Array.from(values);
  const outputs = await executable.run({ x: { data, shape: [values.length] } });
  await executable.close();
  return [...data].map((at, i) => ({
    at,
    y: outputs.y!.data[i]!,
    dx: outputs.dx!.data[i]!,
  }));
}

const close = (actual: number, expected: number) =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(3e-6 * Math.abs(expected) + 1e-7);

describe("in float32", () => {
  test("log σ and its slope σ(−x) are right and finite far from zero too", async () => {
    for (const { at, y, dx } of await computed(logSigmoid, [-200, -90, -3, -1e-3, 0, 2, 15, 200])) {
      close(y, at > 0 ? -Math.log1p(Math.exp(-at)) : at - Math.log1p(Math.exp(at)));
      close(dx, 1 / (1 + Math.exp(at)));
    }
  });

  test("the log odds and their slope 1 / (1 − P) keep their digits where P is almost 0 or 1", async () => {
    for (const { at, y, dx } of await computed(
      logOdds,
      [-120, -20, -3, -0.7, -1e-2, -1e-5, -1e-6],
    )) {
      close(y, at - Math.log(-Math.expm1(at)));
      close(dx, -1 / Math.expm1(at));
    }
  });

  test("a P of 1 has the odds of one that can be told from it", async () => {
    const [one] = await computed(logOdds, [0]);
    close(one!.y, Math.log(1e7));
    expect(one!.dx).toBe(0);
  });
});
