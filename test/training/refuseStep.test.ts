import { expect, test } from "vitest";
import { allocateParameters } from "../../src/engines/parameters.js";
import { refuseBadStep } from "../../src/training/refuseStep.js";

const names = [
  "model.layers.0.self_attn.q_proj.lora_a",
  "model.layers.0.self_attn.q_proj.lora_b",
  "model.layers.11.mlp.up_proj.lora_a",
];
const result = { lossSum: 1, correct: 0, counted: 1, measures: {}, targetTokens: 1, rows: 1 };
const at = { step: 7, learningRate: 0.1 };

function refuse(
  loss: number,
  gradientNorm: number,
  change: (p: ReturnType<typeof allocateParameters>) => void,
) {
  const parameters = allocateParameters(names.map((name) => ({ name, shape: [2] })));
  change(parameters);
  return () => refuseBadStep({ ...result, loss }, { ...at, gradientNorm }, parameters);
}

test("names the gradient nearest to the loss that is not finite", () => {
  const run = refuse(2, Number.NaN, ({ gradients }) => {
    gradients[1] = Number.NaN;
    gradients[3] = Number.NEGATIVE_INFINITY;
  });
  expect(run).toThrow(
    `The gradient is not a finite number at step 7 (learning rate 0.1). Going back from the loss, the gradient of ${names[1]} is the first that is not finite (2 of 3 are not).`,
  );
});

test("names a variable that was not finite before the step", () => {
  const run = refuse(Number.NaN, Number.NaN, ({ values, gradients }) => {
    values[4] = Number.POSITIVE_INFINITY;
    gradients.fill(Number.NaN);
  });
  expect(run).toThrow(
    `The loss is not a finite number at step 7 (learning rate 0.1). The variable ${names[2]} was not finite before it (1 of 3 are not)`,
  );
});

test("refuses gradients that are all zero, and nothing else", () => {
  expect(refuse(2, 0, () => {})).toThrow(/Every gradient is zero at step 7/);
  expect(refuse(2, 1e-30, () => {})).not.toThrow();
});
