import type { SweepEvent } from "../recipes/sweep.js";
import { valueText } from "../recipes/sweepTable.js";
import type { EndedTrial, Trial } from "../recipes/sweepTrials.js";
import { percent } from "./output.js";
import { openProgress } from "./progress.js";
import type { FromWorker } from "./sweepWorker.js";

/** What a sweep shows on stderr: how many runs have ended, and a line for each. */
export interface SweepView {
  readonly event: (event: SweepEvent) => void;
  readonly step: (trial: Trial, step: Extract<FromWorker, { kind: "step" }>) => void;
  readonly say: (text: string) => void;
  readonly stop: () => void;
}

export function sweepView(): SweepView {
  const progress = openProgress("Sweep");
  let [done, total] = [0, 0];
  return {
    event(event) {
      if (event.kind === "plan") total = event.trials;
      else if (event.kind === "retraining") {
        progress.say("Training again with the best options");
        total += 1;
      } else if (event.kind === "started") {
        const { trial, resumed } = event;
        progress.say(`${resumed ? "Going on with" : "Starting"} run ${nameOf(trial)}`);
      } else {
        const { trial, known } = event;
        done = Math.min(total, done + 1);
        progress.say(`Run ${nameOf(trial)}: ${outcome(trial)}${known ? " (known)" : ""}`);
      }
      progress.update({ done, total, details: ["runs"] });
    },
    step(trial, { step, totalSteps, loss }) {
      const details = [
        "runs",
        `run ${trial.number} step ${step}/${totalSteps}`,
        `loss ${loss.toFixed(3)}`,
      ];
      progress.update({ done, total, details });
    },
    say: progress.say,
    stop: progress.stop,
  };
}

const nameOf = ({ number, point, config }: Trial): string => {
  const values = Object.entries(point).map(([name, value]) => `${name} ${valueText(value)}`);
  return `${number} (${values.join(", ")}${config.maxSteps === undefined ? "" : `, ${config.maxSteps} steps`})`;
};

function outcome({ result, error }: EndedTrial): string {
  if (error !== undefined) return `failed: ${error}`;
  const heldOut = result?.heldOut;
  if (heldOut === undefined) return `trained for ${result?.steps} steps`;
  return `loss ${heldOut.loss.toFixed(4)}, accuracy ${percent(heldOut.accuracy)}`;
}
