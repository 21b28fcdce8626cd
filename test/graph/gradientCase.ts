import { expect } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import {
  type Dim,
  evaluateDim,
  gradients,
  input,
  multiply,
  type Node,
  nodesBefore,
  program,
  reshape,
  sum,
  type Tensor,
} from "../../src/graph/index.js";
import { createRandom } from "../../src/random.js";
import { type Axis, shapeOf, sizesOf } from "./axes.js";
import { type Array64, evaluateProgram } from "./referenceEngine.js";

/** A differentiable function of inputs of random shapes and values. */
export interface GradientCase {
  /** Float inputs to differentiate with respect to; values are uniform in `range` (default ±1.5). */
  readonly floats: Readonly<Record<string, FloatInput>>;
  /** Integer inputs, uniform below `below`. */
  readonly integers?: Readonly<Record<string, { axes: readonly Axis[]; below: number }>>;
  /** Float inputs that have no gradient. */
  readonly frozen?: Readonly<Record<string, FloatInput>>;
  readonly build: (inputs: Readonly<Record<string, Tensor>>) => Tensor;
}

interface FloatInput {
  readonly axes: readonly Axis[];
  readonly range?: readonly [number, number];
}

const step = 1e-5;
const of = (name: string) => `gradient of ${name}`;

/**
 * Three ways to one derivative must agree: the graph's, evaluated in float64, and central
 * differences of the float64 forward pass, within 1e-6; and the ONNX engine's float32 result and
 * gradient, within 1e-5. The loss is the sum of the result weighted by random numbers.
 */
export async function checkGradient(example: GradientCase, seed: number): Promise<void> {
  const { tensors, values } = makeInputs(example, seed);
  const y = example.build(tensors);
  values.cotangent = randomArray(
    y.shape.map((dim) => evaluateDim(dim, symbolValues(example))),
    [-1, 1],
    seed,
    99,
  );
  const weighted = multiply(y, input("cotangent", y.shape));
  const loss = reshape(sum(weighted), []);
  const names = Object.keys(example.floats);
  const slopes = gradients(
    loss,
    names.map((name) => tensors[name]!),
  );
  const whole = program({
    y,
    loss,
    ...Object.fromEntries(names.map((n, i) => [of(n), slopes[i]!])),
  });
  const forward = program({ loss });

  const truth = evaluateProgram(whole, values);
  for (const name of names) {
    const measured = centralDifferences(values, name, (changed) => {
      return evaluateProgram(forward, changed).loss!.data[0]!;
    });
    expect(truth[of(name)]!.shape).toEqual(values[name]!.shape);
    expect(error(truth[of(name)]!.data, measured), `d/d${name} against differences`).toBeLessThan(
      1e-6,
    );
  }

  const executable = await onnxEngine({ threads: 1 }).compile(whole);
  const feeds = Object.fromEntries(
    [...whole.inputs].map(([name, tensor]) => {
      const { data, shape } = values[name]!;
      const typed = tensor.dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data);
      return [name, { data: typed, shape }];
    }),
  );
  const results = await executable.run(feeds);
  await executable.close();
  for (const name of ["y", ...names.map(of)]) {
    expect(results[name]!.shape).toEqual(truth[name]!.shape);
    expect(error(results[name]!.data, truth[name]!.data), `float32 ${name}`).toBeLessThan(1e-5);
  }
}

/** The operations that a case's result is computed with, inputs and constants aside. */
export function operationsOf(example: GradientCase): Node["operation"][] {
  const y = example.build(makeInputs(example, 0).tensors);
  return nodesBefore(y)
    .filter((node) => node.inputs.length > 0)
    .map((node) => node.operation);
}

/** ‖difference‖ / ‖expected‖; values are about 1, so smaller norms than that count as 1. */
function error(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const difference = Math.hypot(...Array.from(actual, (value, i) => value - expected[i]!));
  return difference / Math.max(1, Math.hypot(...Array.from(expected)));
}

function centralDifferences(
  values: Readonly<Record<string, Array64>>,
  name: string,
  lossOf: (values: Readonly<Record<string, Array64>>) => number,
): Float64Array {
  const { data, shape } = values[name]!;
  return data.map((value, i) => {
    const shifted = (by: number) =>
      lossOf({ ...values, [name]: { data: data.with(i, value + by), shape } });
    return (shifted(step) - shifted(-step)) / (2 * step);
  });
}

function makeInputs(example: GradientCase, seed: number) {
  const tensors: Record<string, Tensor> = {};
  const values: Record<string, Array64> = {};
  let index = 0;
  for (const [name, { axes, range }] of Object.entries({ ...example.floats, ...example.frozen })) {
    tensors[name] = input(name, shapeOf(axes));
    values[name] = randomArray(sizesOf(axes), range ?? [-1.5, 1.5], seed, index++);
  }
  for (const [name, { axes, below }] of Object.entries(example.integers ?? {})) {
    tensors[name] = input(name, shapeOf(axes), "int32");
    const { data, shape } = randomArray(sizesOf(axes), [0, below], seed, index++);
    values[name] = { data: data.map(Math.floor), shape };
  }
  return { tensors, values };
}

/** Numbers that float32 holds exactly, so that all engines start from the same ones. */
function randomArray(
  shape: readonly number[],
  [from, to]: readonly [number, number],
  seed: number,
  index: number,
): Array64 {
  const random = createRandom({ seed, stream: "init", index });
  const count = shape.reduce((a, b) => a * b, 1);
  const data = Float64Array.from({ length: count }, () =>
    Math.fround(from + (to - from) * random.uniform()),
  );
  return { data, shape };
}

function symbolValues({ floats, integers = {}, frozen = {} }: GradientCase) {
  const all = [...Object.values(floats), ...Object.values(frozen), ...Object.values(integers)];
  const named = all.flatMap(({ axes }) => axes).filter(({ dim }) => typeof dim !== "number");
  return Object.fromEntries(
    named.map(({ dim, size }) => [(dim as Exclude<Dim, number>).text, size]),
  );
}
