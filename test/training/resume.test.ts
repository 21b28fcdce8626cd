import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Executable } from "../../src/engines/engine.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { loadCheckpoint, saveCheckpoint } from "../../src/training/checkpoints.js";
import { type LoopState, type StepReport, train } from "../../src/training/loop.js";
import { withAverage } from "../../src/training/optimizers/average.js";
import {
  namedOptimizer,
  type OptimizerName,
  optimizerNames,
} from "../../src/training/optimizers/named.js";
import { schedule } from "../../src/training/schedules.js";
import { exampleSource } from "../../src/training/sources.js";
import { temporaryFolder } from "../support/modelFolder.js";
import { tinyExamples } from "../support/tinyExamples.js";
import * as tiny from "../support/tinyGemma.js";

const totalSteps = 8;
const lora = { rank: 4, alpha: 8, targets: ["q_proj", "v_proj"], layout: "standard" } as const;
let program: Executable;

beforeAll(async () => {
  const adapter = createAdapter(lora, tiny.modules, 0);
  const step = trainingProgram(tiny.graph(adapter), { maxLength: 32, recompute: false });
  program = await tiny.engine.compile(step);
});
afterAll(async () => {
  await program.close();
});

/** Two data sets by weight, several examples in a row. */
const packedMix = { packTo: 32, mix: { counts: [4, 3], weights: [1, 1] } };

/** All there is in a run; made anew, as by a new process, each time. */
function newRun(
  name: OptimizerName = "adamw",
  { averages = false, packing = {} as Partial<typeof packedMix> } = {},
) {
  const { parameters } = createAdapter(lora, tiny.modules, 3);
  const momentum = name === "sgd" ? 0.9 : undefined;
  const { slots } = parameters;
  const plain = namedOptimizer(name, slots, { momentum });
  const optimizer = averages ? withAverage(plain, slots, 0.8) : plain;
  const reports: Omit<StepReport, "seconds">[] = [];
  const options = {
    program,
    parameters,
    optimizer,
    schedule: schedule("cosine", { learningRate: 0.01, totalSteps, warmupSteps: 2 }),
    source: exampleSource(tinyExamples(), {
      batchSize: 3,
      microBatchSize: 2,
      padId: 0,
      seed: 5,
      shuffle: true,
      ...packing,
    }),
    totalSteps,
    objective: { kind: "mean" } as const,
    clipNorm: 1,
    onStep: ({ seconds: _, ...report }: StepReport) => {
      reports.push(report);
    },
  };
  return { parameters, optimizer, reports, options };
}

const runs = [
  ...optimizerNames.map((name) => ({ run: `with ${name}`, name, options: {}, epochs: [2, 2] })),
  { run: "with an average", name: "adamw" as const, options: { averages: true }, epochs: [2, 2] },
  {
    ...{ run: "of a packed mix", name: "adamw" as const, epochs: [8, 0] },
    options: { packing: packedMix },
  },
];

test.each(runs)(
  "N steps $run equal k steps, a checkpoint, a new process and N − k steps, bit for bit",
  async ({ name, options, epochs: [epoch, index] }) => {
    const whole = newRun(name, options);
    const end = await train(whole.options);
    expect(end).toMatchObject({ step: totalSteps, epoch, index });

    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: totalSteps - 1 }), { minLength: 1, maxLength: 3 }),
        async (stops) => {
          const folder = temporaryFolder();
          const reports: unknown[] = [];
          let checkpoint: string | undefined;
          let last: LoopState | undefined;
          for (const stop of [...stops.sort((a, b) => a - b), totalSteps]) {
            const run = newRun(name, options);
            const { parameters, optimizer } = run;
            const start = checkpoint && loadCheckpoint(checkpoint, parameters, optimizer);
            const resumed = start ? { ...run.options, start } : run.options;
            last = await train({ ...resumed, shouldStop: () => optimizer.step === stop });
            checkpoint = await saveCheckpoint(folder, parameters, optimizer, last, 2);
            reports.push(...run.reports);
            if (stop < totalSteps) continue;
            expect(parameters.values).toEqual(whole.parameters.values);
            expect(optimizer.state).toEqual(whole.optimizer.state);
          }
          expect(reports).toEqual(whole.reports);
          expect(last).toEqual(end);
        },
      ),
      { numRuns: 3, seed: 1 },
    );
  },
);

test("two runs from the same seeds are the same, bit for bit", async () => {
  const [one, two] = [newRun(), newRun()];
  await train(one.options);
  await train(two.options);
  expect(one.parameters.values).toEqual(two.parameters.values);
  expect(one.reports).toEqual(two.reports);
});
