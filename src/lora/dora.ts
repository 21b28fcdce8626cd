import type { Engine, HostTensor } from "../engines/engine.js";
import { views } from "../engines/parameters.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import {
  add,
  divide,
  input,
  matmul,
  multiply,
  program,
  reshape,
  sqrt,
  stopGradient,
  sum,
  type Tensor,
  toFloat32,
} from "../graph/index.js";
import type { LinearModule } from "../nn/linear.js";
import type { Adapter } from "./adapter.js";
import { scaleOf } from "./config.js";
import { variableName } from "./variables.js";

/**
 * DoRA (Liu et al. 2024, arXiv:2402.09353) brings row i of W + s·B A to the length m[i]. For a layer's output that is a
 * factor on each column, y = gain ⊙ (x Wᵀ + s·x Aᵀ Bᵀ) with gain = m / ‖W + s·B A‖. Gains depend on no input, so they
 * are computed once for an adapter, and programs take them as they take A and B.
 */
export const gainName = (module: LinearModule) => `${module.path}.lora_gain`;

/**
 * gain `[out]` of weight `[out, in]`, A `[r, in]`, B `[out, r]` and m `[out]`. W + s·B A is not formed: for a row w of W
 * and b of B, ‖w + s·b A‖² = ‖w‖² + b · (2s·A w + s²·A Aᵀ b).
 */
export const doraGain = (
  weight: Tensor,
  a: Tensor,
  b: Tensor,
  magnitude: Tensor,
  scale: number,
): Tensor => divide(magnitude, rowLengths(weight, a, b, scale));

/** As `doraGain`, with the lengths as constants for the backward pass, as the paper has it (section 4.3). */
export const trainingGain = (
  weight: Tensor,
  a: Tensor,
  b: Tensor,
  magnitude: Tensor,
  scale: number,
): Tensor => divide(magnitude, stopGradient(rowLengths(weight, a, b, scale)));

/** ‖W + s·B A‖ of each row, `[out]`. */
function rowLengths(weight: Tensor, a: Tensor, b: Tensor, scale: number): Tensor {
  const wide = toFloat32(weight);
  const inner = add(
    matmul(wide, a, { transposeB: true, scale: 2 * scale }),
    matmul(b, matmul(a, a, { transposeB: true }), { scale: scale ** 2 }),
  );
  const squares = add(sum(multiply(wide, wide), [1]), sum(multiply(b, inner), [1]));
  return reshape(sqrt(squares), [weight.shape[0]!]);
}

/** Gives a new DoRA adapter the magnitudes that change nothing: the lengths of the weights' rows, while B is zero. */
export function startDora(
  { modules, magnitudes }: Adapter,
  weight: (path: string) => StoredTensor,
): void {
  for (const { path, inFeatures } of modules) {
    const lengths = magnitudes!.get(path)!;
    let row = 0;
    for (const piece of weight(path).read()) {
      for (let at = 0; at < piece.length; at += inFeatures) {
        let squares = 0;
        for (let i = at; i < at + inFeatures; i++) squares += piece[i]! * piece[i]!;
        lengths[row++] = Math.sqrt(squares);
      }
    }
  }
}

/** Gains of these modules, all 1: what an adapter without magnitudes has. */
export const unitGains = (modules: readonly LinearModule[]): Record<string, HostTensor> =>
  Object.fromEntries(
    modules.map((module) => [
      gainName(module),
      { data: new Float32Array(module.outFeatures).fill(1), shape: [module.outFeatures] },
    ]),
  );

/** Computes the gains of an adapter in PEFT's layout into `gains`; `weight` gives a module's frozen weight. */
export async function computeGains(
  { config, modules, parameters, magnitudes = new Map() }: Adapter,
  weight: (path: string) => Tensor,
  engine: Engine,
  gains: Readonly<Record<string, HostTensor>>,
): Promise<void> {
  const rescaled = modules.filter(({ path }) => magnitudes.has(path));
  if (rescaled.length === 0) return;
  const variables = views(parameters.slots, parameters.values);
  const inputs: Record<string, HostTensor> = {};
  const given = (name: string, value: HostTensor) => {
    inputs[name] = value;
    return input(name, value.shape);
  };
  const outputs = rescaled.map((module): [string, Tensor] => {
    const [a, b] = (["a", "b"] as const).map((matrix) => {
      const name = variableName(module, matrix);
      return given(name, variables[name]!);
    });
    const data = magnitudes.get(module.path)!;
    const m = given(`${module.path}.lora_magnitude`, { data, shape: [module.outFeatures] });
    return [gainName(module), doraGain(weight(module.path), a!, b!, m, scaleOf(config, module))];
  });
  const executable = await engine.compile(program(Object.fromEntries(outputs)));
  try {
    const wanted = outputs.map(([name]) => [name, gains[name]!] as const);
    await executable.run(inputs, Object.fromEntries(wanted));
  } finally {
    await executable.close();
  }
}
