import { describe, expect, test } from "vitest";
import { makeBatch } from "../../src/data/batches.js";
import type { HostTensor } from "../../src/engines/engine.js";
import { views } from "../../src/engines/parameters.js";
import { headName } from "../../src/formats/peftLabels.js";
import { input } from "../../src/graph/index.js";
import {
  classificationProgram,
  classLogitsProgram,
} from "../../src/models/gemma/classificationPrograms.js";
import { type GemmaGraph, logitsProgram } from "../../src/models/gemma/programs.js";
import { classificationObjective, classifierInputs } from "../../src/training/classification.js";
import { type Array64, evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import { tinyExamples } from "../support/tinyExamples.js";
import * as tiny from "../support/tinyGemma.js";

const examples = tinyExamples().map((example) => ({
  ...example,
  isTarget: example.isTarget.map((_, i) => Number(i > 0)),
}));
const batch = makeBatch(examples, [4, 0, 2], 0);
const classes = [2, 0, 1, 0, 2];
const adapter = tiny.adapter("qv");
const variables: Record<string, HostTensor> = views(
  adapter.parameters.slots,
  adapter.parameters.values,
);
for (const { data } of Object.values(variables)) {
  data.forEach((value, i) => {
    data[i] = value === 0 ? Math.sin(i) / 10 : value;
  });
}
const width = tiny.config.hiddenSize;
const score = Float32Array.from({ length: 3 * width }, (_, i) => Math.cos(3 * i) / 4);
variables[headName] = { data: score, shape: [3, width] };

const plain = tiny.graph(adapter);
const head = input(headName, [3, width]);
const model: GemmaGraph = {
  ...plain,
  tensor: (name) => (name === headName ? head : plain.tensor(name)),
  trainable: new Map([...plain.trainable, [headName, head]]),
};
const in64 = (inputs: Readonly<Record<string, HostTensor>>): Record<string, Array64> =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, toArray64(value)]));

const step = classificationProgram(model, { maxLength: 32, recompute: false });
const objective = classificationObjective(classes);
const inputs = { ...objective.inputs(batch, 3), ...variables };

/** What each row counts, as float32 has it. */
const share = Math.fround(1 / 3);

/** Mean cross-entropy by plain loops, from the hidden state of each text's last token in float64. */
const states = logitsProgram(plain, { maxLength: 32 });
function byHand(values: Readonly<Record<string, Array64>>) {
  const lastTokens = batch.rows.map((row, b) => b * batch.length + examples[row]!.ids.length - 2);
  const rows = { data: Float64Array.from(lastTokens), shape: [3] };
  const { [headName]: table, ...others } = values;
  const { ids, positions } = values;
  const { hidden } = evaluateProgram(states, { ...others, ids: ids!, positions: positions!, rows });
  let loss = 0;
  const gradient = new Float64Array(3 * width);
  const logits = batch.rows.flatMap((row, b) => {
    const h = hidden!.data.subarray(b * width, (b + 1) * width);
    const z = [0, 1, 2].map((c) =>
      h.reduce((total, x, i) => total + x * table!.data[c * width + i]!, 0),
    );
    const total = z.reduce((all, one) => all + Math.exp(one), 0);
    loss += share * (Math.log(total) - z[classes[row]!]!);
    z.forEach((one, c) => {
      const slope = share * (Math.exp(one) / total - Number(c === classes[row]));
      h.forEach((x, i) => {
        gradient[c * width + i]! += slope * x;
      });
    });
    return z;
  });
  return { loss, gradient, logits };
}
const exact = in64(inputs);
const truth = byHand(exact);

describe("the program of a classifier", () => {
  const result = evaluateProgram(step, exact);

  test("has the mean cross-entropy of the last tokens' classes, in float64", () => {
    expect(Math.abs(result.loss!.data[0]! / truth.loss - 1)).toBeLessThan(1e-9);
    const best = batch.rows.map((_, b) => {
      const z = truth.logits.slice(3 * b, 3 * b + 3);
      return z.indexOf(Math.max(...z));
    });
    const right = best.filter((one, b) => one === classes[batch.rows[b]!]).length;
    expect(result.correct!.data[0]).toBeCloseTo(right / 3, 6);
  });

  test("has its derivatives: of the head by hand, of the adapter by differences", () => {
    const ofHead = result[`gradient:${headName}`]!.data;
    expect(relativeError(ofHead, truth.gradient)).toBeLessThan(1e-7);
    const names = Object.keys(variables).filter((name) => name !== headName);
    for (const [name, at] of [
      [names[0]!, 3],
      [names[1]!, 7],
      [names.at(-1)!, 11],
    ] as const) {
      const { data, shape } = exact[name]!;
      const lossAt = (by: number) =>
        byHand({ ...exact, [name]: { data: data.with(at, data[at]! + by), shape } }).loss;
      const slope = (lossAt(1e-5) - lossAt(-1e-5)) / 2e-5;
      const found = result[`gradient:${name}`]!.data[at]!;
      expect(Math.abs(found - slope), name).toBeLessThan(1e-7 + 1e-5 * Math.abs(slope));
    }
  });

  test("is computed by the engine, and the logits too", async () => {
    const executable = await tiny.engine.compile(step);
    const outputs = await executable.run(inputs);
    await executable.close();
    expect(Math.abs(outputs.loss!.data[0]! / truth.loss - 1)).toBeLessThan(1e-5);
    for (const name of Object.keys(variables).map((variable) => `gradient:${variable}`)) {
      expect(relativeError(outputs[name]!.data, result[name]!.data), name).toBeLessThan(1e-4);
    }
    const logits = await tiny.engine.compile(classLogitsProgram(model, { maxLength: 32 }));
    const predicted = await logits.run({ ...classifierInputs(batch), ...variables });
    await logits.close();
    expect(predicted.logits!.shape).toEqual([3, 3]);
    expect(relativeError(predicted.logits!.data, truth.logits)).toBeLessThan(1e-5);
  });
});
