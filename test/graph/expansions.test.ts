import { expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import {
  constant,
  gelu,
  program,
  rmsNorm,
  rope,
  ropeTable,
  type Tensor,
} from "../../src/graph/index.js";
import { createRandom } from "../../src/random.js";

const random = createRandom({ seed: 7, stream: "init" });
const values = (shape: number[]) =>
  constant(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 4 * random.uniform() - 2),
    shape,
  );

/** Composite operations, each with what `expand` makes of it. */
const composites: Record<string, () => Tensor> = {
  gelu: () => gelu(values([3, 50])),
  rmsNorm: () => rmsNorm(values([4, 6, 32]), values([32]), 1e-6),
  rope: () => {
    const positions = constant(Int32Array.of(0, 5, 2, 7, 7, 1), [2, 3]);
    return rope(values([2, 4, 3, 16]), positions, ropeTable(8, 16, 10_000));
  },
};

test.each(Object.keys(composites))("%s: the expansion is the same function", async (name) => {
  const composite = composites[name]!();
  const { operation, inputs, attributes } = composite.node;
  const expanded = operation.expand!(inputs, attributes);
  const outputs = Object.fromEntries(
    composite.node.outputs.flatMap((output, i) => [
      [`kernel${i}`, output],
      [`expansion${i}`, expanded[i]!],
    ]),
  );
  const executable = await onnxEngine().compile(program(outputs));
  const results = await executable.run({});
  composite.node.outputs.forEach((_, i) => {
    const [kernel, expansion] = [results[`kernel${i}`]!, results[`expansion${i}`]!];
    expect(expansion.shape).toEqual(kernel.shape);
    kernel.data.forEach((value, at) => {
      expect(Math.abs(value - expansion.data[at]!)).toBeLessThan(1e-5);
    });
  });
  await executable.close();
});
