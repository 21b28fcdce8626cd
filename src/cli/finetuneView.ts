import { relative } from "node:path";
import { readStrictJson } from "../formats/strictJson.js";
import type { FinetuneHooks } from "../recipes/finetune.js";
import type { FinetuneEvent, FinetuneResult } from "../recipes/finetuneEvents.js";
import { runPaths } from "../recipes/runFolder.js";
import { byteSize } from "../recipes/summary.js";
import { availableMemory } from "../runtime/memory.js";
import type { Assessment } from "../training/evaluate.js";
import { withDownloads } from "./downloads.js";
import { interruptedExitCode } from "./interruption.js";
import { facts, sideBySide } from "./layout.js";
import { flagOf } from "./optionsFromSchema.js";
import {
  colours,
  count,
  duration,
  outputWidth,
  percent,
  print,
  printable,
  printJson,
} from "./output.js";
import { preparedNotice, sharesText } from "./preparedData.js";
import { openTrainingView, type TrainingView } from "./trainingView.js";

/** Runs a fine-tuning and shows how it goes; the result goes to stdout, all else to stderr. */
export async function showFinetune(
  run: (hooks: FinetuneHooks) => Promise<FinetuneResult>,
  json: boolean,
): Promise<void> {
  const view = openTrainingView();
  let result: FinetuneResult;
  try {
    result = await withDownloads((download) =>
      run({ signal: view.signal, onEvent: (event) => showEvent(view, event), download }),
    );
  } finally {
    view.close();
  }
  if (json) printJson(toJson(result));
  else printResult(result);
  if (result.status === "interrupted") {
    process.exitCode = interruptedExitCode;
    view.say(
      `Stopped after step ${result.steps}. Continue with:\n  npx facet finetune --resume --run ${shown(result.run)}`,
    );
  }
}

/** Says what a run tells while it goes on. */
export function showEvent(view: TrainingView, event: FinetuneEvent): void {
  switch (event.kind) {
    case "chosen": {
      const choices = Object.entries(event.options).map(
        ([key, value]) => `${flagOf(key)} ${value}`,
      );
      view.say(`Chosen: ${choices.join(", ")}`);
      return;
    }
    case "data": {
      const { path, template, train, validation } = event.dataset;
      view.say(`Data: ${path}, template ${JSON.stringify(template.name)}`);
      const lines = preparedNotice(train.report);
      if (validation !== undefined) lines.push(`${count(validation.report.kept)} rows held out`);
      if (event.shares !== undefined) lines.push(`an epoch has ${sharesText(event.shares)}`);
      for (const line of lines) view.say(`  ${line}`);
      return;
    }
    case "plan": {
      const { memory, trainable, parameters, totalSteps, firstStep } = event;
      view.say(
        `Memory: about ${byteSize(memory.total)} (weights ${byteSize(memory.weights)}, activations ` +
          `${byteSize(memory.activations)}, head ${byteSize(memory.head)}, optimizer ${byteSize(memory.optimizer)}, process ${byteSize(memory.process)}); ` +
          `${byteSize(availableMemory())} free`,
      );
      const share = `${((100 * trainable) / parameters).toPrecision(3)} %`;
      view.say(
        `Parameters: ${count(trainable)} trained, ${share} of the model's ${count(parameters)}`,
      );
      const from = firstStep > 0 ? `, continuing after step ${firstStep}` : "";
      view.say(`Training ${count(trainable)} parameters in ${count(totalSteps)} steps${from}`);
      // A run folder exists from here on, and with it something to resume.
      view.listen();
      return;
    }
    case "reference":
      view.say(`Computing what the base model thinks of ${count(event.pairs)} pairs…`);
      return;
    case "pace": {
      const { secondsPerStep, steps } = event;
      const each =
        secondsPerStep < 1 ? `${(1000 * secondsPerStep).toFixed(0)} ms` : duration(secondsPerStep);
      view.say(`Time: about ${each} per step, ${duration(secondsPerStep * steps)} in all`);
      return;
    }
    case "step":
      view.step(event.report, event.totalSteps);
      if (event.report.step === event.totalSteps) view.say("Trying the result…");
      return;
    case "evaluation": {
      const when = event.when === "during" ? `step ${event.step}` : event.when;
      view.say(`Held out, ${when}: ${evaluationText(event.result)}`);
      return;
    }
    case "sample":
      if (event.when === "during") {
        view.say(`Step ${event.step}, ${printable(event.prompt)} → ${printable(event.text)}`);
      }
      return;
    case "metrics":
    case "checkpoint":
      return;
  }
}

const evaluationText = ({ loss, accuracy }: Assessment) =>
  `loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}`;

/** A path as short as it can be from here. */
export function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short === "" || short.startsWith("..") ? path : short;
}

function printResult(result: FinetuneResult): void {
  const width = outputWidth();
  const { heldOut, run } = result;
  for (const { prompt, before, after } of result.samples) {
    print(colours.bold(printable(prompt)));
    const columns = [
      { title: "Before", text: printable(before) || "(nothing)" },
      { title: "After", text: printable(after) || "(nothing)" },
    ] as const;
    print(`${sideBySide(columns[0], columns[1], width)}\n`);
  }
  const paths = runPaths(run);
  const lines: [string, string][] = [
    ["Steps", `${count(result.steps)} in ${duration(result.seconds)}`],
  ];
  if (result.best !== undefined) {
    const { step, loss } = result.best;
    lines.push(["Best validation", `${loss.toFixed(4)} at step ${count(step)}`]);
  }
  if (result.stoppedEarly) lines.push(["Stopped early", "validations brought no improvement"]);
  // A run that was complete when it was resumed has trained nothing.
  const trained = !Number.isNaN(result.loss);
  if (trained) {
    const accuracy = percent(result.accuracy);
    lines.push(["Training loss", `${result.loss.toFixed(4)}, accuracy ${accuracy}`]);
  }
  if (heldOut !== undefined) {
    const { before, after } = heldOut;
    lines.push(["Held-out loss", `${before.loss.toFixed(4)} → ${after.loss.toFixed(4)}`]);
    lines.push(["Held-out accuracy", `${percent(before.accuracy)} → ${percent(after.accuracy)}`]);
  }
  if (trained) {
    lines.push(["Speed", `${count(Math.round(result.tokensPerSecond))} target tokens/s`]);
  }
  lines.push(["Run folder", shown(run)]);
  if (result.method === "lora") lines.push(["Adapter", shown(paths.adapter)]);
  else if (result.status === "finished") lines.push(["Model", shown(paths.model)]);
  if (result.status === "finished") lines.push(["Report", shown(paths.report)]);
  print(facts(lines, width));
  if (result.status === "finished") {
    const { config } = readStrictJson(paths.run) as {
      config: { model: string; objective: string };
    };
    const model =
      result.method === "full"
        ? shown(paths.model)
        : `${shown(config.model)} --adapter ${shown(run)}`;
    const next = config.objective === "classification" ? ["classify", ' --text "…"'] : ["chat", ""];
    print(`\nNext: npx facet ${next[0]} --model ${model}${next[1]}`);
  }
}

const toJson = (result: FinetuneResult) => ({
  run: result.run,
  status: result.status,
  steps: result.steps,
  stopped_early: result.stoppedEarly,
  best: result.best ?? null,
  trainable_parameters: result.trainableParameters,
  loss: result.loss,
  accuracy: result.accuracy,
  held_out: result.heldOut ?? null,
  samples: result.samples,
  tokens_per_second: result.tokensPerSecond,
  seconds: result.seconds,
  adapter: result.method === "lora" ? runPaths(result.run).adapter : null,
  model: result.method === "full" ? runPaths(result.run).model : null,
});
