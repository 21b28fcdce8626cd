import { describe, expect, test } from "vitest";
import { views } from "../../src/engines/parameters.js";
import { FacetError } from "../../src/errors.js";
import { storedTensor } from "../../src/formats/safetensors.js";
import { openModel } from "../../src/hub/openModel.js";
import { adapterGraph, createAdapter } from "../../src/lora/adapter.js";
import { gainName, startDora } from "../../src/lora/dora.js";
import { toPeft } from "../../src/lora/peft.js";
import { evaluationProgram, trainingProgram } from "../../src/models/gemma/programs.js";
import { openSession } from "../../src/runtime/session.js";
import { batchInputs } from "../../src/training/gradient.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import { updateOf } from "../support/loraMatrices.js";
import { tinyModelFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const config = {
  rank: 2,
  alpha: 3,
  targets: ["q_proj", "down_proj"],
  layout: "standard",
  dora: true,
} as const;
const weightOf = (path: string) => tiny.weights.tensor(`${path}.weight`).data;
const weight = (path: string) => storedTensor(tiny.weights.tensors.get(`${path}.weight`)!);

/** A DoRA adapter at its start, or somewhere on its way. */
function adapterAt(place: "start" | "later") {
  const adapter = createAdapter(config, tiny.modules, 1);
  startDora(adapter, weight);
  const { values } = adapter.parameters;
  if (place === "later") {
    values.forEach((value, i) => {
      values[i] = value + Math.sin(i) / 10;
    });
  }
  return adapter;
}

/** ‖W + s·B A‖ of each row, in float64. */
function lengthsOf(adapter: ReturnType<typeof adapterAt>, path: string): Float64Array {
  const lora = toPeft(adapter).matrices.get(path)!;
  const base = weightOf(path);
  const sum = updateOf(lora).map((update, i) => update + base[i]!);
  return Float64Array.from({ length: lora.outFeatures }, (_, row) =>
    Math.hypot(...sum.subarray(row * lora.inFeatures, (row + 1) * lora.inFeatures)),
  );
}

const batch = tiny.batch("nopad");
const maxLength = 32;
const tensors = (adapter: ReturnType<typeof adapterAt>) => ({
  ...batchInputs(batch, batch.targetTokens),
  ...views(adapter.parameters.slots, adapter.parameters.values),
});
const in64 = (inputs: Record<string, Parameters<typeof toArray64>[0]>) =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, toArray64(value)]));
const frozen = tiny.graph();
const training = (adapter: ReturnType<typeof adapterAt>, recompute = false) =>
  trainingProgram(
    {
      ...frozen,
      ...adapterGraph(adapter, { weight: (path) => frozen.tensor(`${path}.weight`) }),
    },
    { maxLength, recompute },
  );

describe("training DoRA (Liu et al. 2024, arXiv:2402.09353)", () => {
  test("starts with the lengths of the weights' rows, where it changes nothing", () => {
    const adapter = adapterAt("start");
    for (const { path, inFeatures } of adapter.modules) {
      const base = weightOf(path) as Float32Array;
      const lengths = [...adapter.magnitudes!.get(path)!.keys()].map((row) =>
        Math.hypot(...base.subarray(row * inFeatures, (row + 1) * inFeatures)),
      );
      expect(relativeError(adapter.magnitudes!.get(path)!, lengths)).toBeLessThan(1e-7);
    }
    const trained = evaluateProgram(training(adapter), in64(tensors(adapter)));
    const base = evaluateProgram(
      evaluationProgram(frozen, { maxLength }),
      in64(batchInputs(batch, batch.targetTokens)),
    );
    expect(trained.loss!.data[0]! / base.loss!.data[0]!).toBeCloseTo(1, 6);
  });

  test("has the gradients of a loss whose row lengths are constants (section 4.3)", () => {
    const adapter = adapterAt("later");
    const inputs = in64(tensors(adapter));
    const gradients = evaluateProgram(training(adapter), inputs);
    const lengths = new Map(adapter.modules.map(({ path }) => [path, lengthsOf(adapter, path)]));
    const program = evaluationProgram({ ...frozen, ...adapterGraph(adapter) }, { maxLength });
    const others = Object.entries(inputs).filter(([name]) => !name.endsWith("lora_magnitude"));
    const variable = (name: string) => inputs[name]!.data as Float64Array;
    /** The loss with the gains m / length, of the lengths above whatever A and B are. */
    const loss = () => {
      const gains = adapter.modules.map((module) => {
        const m = variable(`${module.path}.lora_magnitude`);
        const data = m.map((value, i) => value / lengths.get(module.path)![i]!);
        return [gainName(module), { data, shape: [data.length] }] as const;
      });
      return evaluateProgram(program, Object.fromEntries([...others, ...gains])).loss!.data[0]!;
    };
    expect(gradients.loss!.data[0]! / loss()).toBeCloseTo(1, 9);
    for (const matrix of ["lora_a", "lora_b", "lora_magnitude"]) {
      const name = `model.layers.1.self_attn.q_proj.${matrix}`;
      const values = variable(name);
      for (const place of [0, 5]) {
        const [kept, step] = [values[place]!, 1e-4];
        const [above, below] = [kept + step, kept - step].map((value) => {
          values[place] = value;
          return loss();
        });
        values[place] = kept;
        const slope = (above! - below!) / (2 * step);
        const mine = gradients[`gradient:${name}`]!.data[place]!;
        expect(Math.abs(mine - slope), `${name} ${place}`).toBeLessThan(
          1e-6 + 1e-5 * Math.abs(slope),
        );
      }
    }
  });

  test.each([false, true])(
    "in the engine is as in float64 (recomputation: %s)",
    async (recompute) => {
      const adapter = adapterAt("later");
      const exact = evaluateProgram(training(adapter), in64(tensors(adapter)));
      const executable = await tiny.engine.compile(training(adapter, recompute));
      const outputs = await executable.run(tensors(adapter));
      await executable.close();
      for (const [name, { data }] of Object.entries(exact)) {
        expect(relativeError(outputs[name]!.data, data), name).toBeLessThan(2e-5);
      }
    },
  );

  test("evaluates what it has become, every time anew", async () => {
    const adapter = adapterAt("start");
    const session = openSession(await openModel(tinyModelFolder()), tiny.engine, adapter);
    const loss = async () => {
      const program = await session.evaluation(maxLength);
      const inputs = { ...batchInputs(batch, batch.targetTokens), ...session.parameters };
      return (await program.run(inputs)).loss!.data[0]!;
    };
    const first = await loss();
    adapter.parameters.values.set(adapterAt("later").parameters.values);
    const then = await loss();
    const trained = evaluateProgram(training(adapter), in64(tensors(adapter))).loss!.data[0]!;
    expect(then / trained).toBeCloseTo(1, 5);
    expect(Math.abs(first - then)).toBeGreaterThan(1e-3);
    await session.close();
  });

  test("is refused with Keras's variables, which have none for it", () => {
    const keras = { ...config, layout: "keras" } as const;
    expect(() => createAdapter(keras, tiny.modules, 1)).toThrow(
      "DoRA has no form with Keras's variables. Use it with --layout standard.",
    );
    expect(() => createAdapter({ ...config, start: "pissa" }, tiny.modules, 1)).toThrow(FacetError);
  });
});
