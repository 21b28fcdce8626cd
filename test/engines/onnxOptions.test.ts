import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { allocateParameters, views } from "../../src/engines/parameters.js";
import { readFloat32, readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { frozenWeights, trainableWeights } from "../../src/models/gemma/model.js";
import { type GemmaGraph, trainingProgram } from "../../src/models/gemma/programs.js";
import { batchInputs } from "../../src/training/gradient.js";
import { relativeError } from "../support/closeness.js";
import { temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const options = [
  { optimization: "disabled", prepackWeights: false },
  { optimization: "disabled", prepackWeights: true },
  { optimization: "all", prepackWeights: false },
  { optimization: "all", prepackWeights: true },
] as const;

const adapter = tiny.adapter("all");
const loraParameters = views(adapter.parameters.slots, adapter.parameters.values);

/** All weights trainable: inputs of the program rather than files. */
function fullTraining() {
  const trainable = trainableWeights(tiny.config);
  const tensor = (name: string) => trainable.get(name)!;
  const { slots, values } = allocateParameters(
    [...trainable].map(([name, { shape }]) => ({ name, shape: shape as number[] })),
  );
  const inputs = views(slots, values);
  for (const [name, { data }] of Object.entries(inputs)) data.set(tiny.weights.tensor(name).data);
  const graph: GemmaGraph = { config: tiny.config, tensor, adapt: () => undefined, trainable };
  return { graph, inputs };
}

/** The tiny model in bfloat16, which holds its values exactly. */
function storedInHalf(): GemmaGraph {
  const path = join(temporaryFolder(), "model.safetensors");
  writeSafetensors(
    path,
    [...tiny.weights.tensors.values()].map((info) => ({
      name: info.name,
      dtype: "BF16" as const,
      shape: info.shape,
      data: readFloat32(info),
    })),
  );
  return { ...tiny.graph(adapter), tensor: frozenWeights(readSafetensorsHeader(path).tensors) };
}

describe("ONNX Runtime's options change no result: a training step on the tiny Gemma", () => {
  test.each([
    ["with LoRA", () => ({ graph: tiny.graph(adapter), inputs: loraParameters })],
    ["with LoRA on weights in bfloat16", () => ({ graph: storedInHalf(), inputs: loraParameters })],
    ["of all weights", fullTraining],
  ])("%s", async (_what, make) => {
    const { graph, inputs } = make();
    const batch = tiny.batch("pad");
    const feeds = { ...batchInputs(batch, batch.targetTokens), ...inputs };
    const runs = [];
    for (const recompute of [false, true]) {
      const step = trainingProgram(graph, { maxLength: 32, recompute });
      for (const option of options) {
        const executable = await onnxEngine({ threads: 1, ...option }).compile(step);
        runs.push(await executable.run(feeds));
        await executable.close();
      }
    }
    for (const outputs of runs.slice(1)) {
      for (const [name, { data }] of Object.entries(runs[0]!)) {
        expect(relativeError(outputs[name]!.data, data), name).toBeLessThan(5e-6);
      }
    }
  });
});

test("the number of threads changes no result beyond rounding", async () => {
  const step = trainingProgram(tiny.graph(adapter), { maxLength: 32, recompute: false });
  const feeds = { ...batchInputs(tiny.batch("nopad"), 38), ...loraParameters };
  const [one, two] = await Promise.all(
    [1, 2].map(async (threads) => {
      const executable = await onnxEngine({ threads }).compile(step);
      const outputs = await executable.run(feeds);
      await executable.close();
      return outputs;
    }),
  );
  for (const [name, { data }] of Object.entries(one!)) {
    expect(relativeError(two![name]!.data, data), name).toBeLessThan(5e-6);
  }
});
