import { FacetError } from "../errors.js";
import { finetune, resumeFinetune } from "../recipes/finetune.js";
import type { FinetuneEvent } from "../recipes/finetuneEvents.js";
import type { Trial, TrialResult } from "../recipes/sweepTrials.js";
import { openEngine } from "./engine.js";
import { errorText } from "./errorText.js";

/**
 * A process that runs one trial of a sweep, which its parent sends it. It saves a checkpoint and ends when it is told to
 * stop, and ends at once when its parent is gone: the run folder must be free when the sweep is started again.
 */

/** What the parent sends. */
export type ToWorker =
  | {
      readonly kind: "run";
      readonly config: Trial["config"];
      readonly resume: boolean;
      readonly threads?: number;
    }
  | { readonly kind: "stop" };

/** What the worker sends. */
export type FromWorker =
  | {
      readonly kind: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly loss: number;
    }
  | { readonly kind: "done"; readonly result: TrialResult }
  | { readonly kind: "interrupted" }
  | { readonly kind: "failed"; readonly message: string; readonly isFacetError: boolean };

const stop = new AbortController();
process.on("disconnect", () => process.exit(1));
// Ctrl-C reaches every process of the terminal; the parent says what becomes of it.
process.on("SIGINT", () => {});
process.on("message", (message: ToWorker) => {
  if (message.kind === "stop") stop.abort();
  else void run(message).then(send);
});

const send = (message: FromWorker) =>
  process.send!(message, (error: Error | null) => {
    if (error === null && message.kind !== "step") process.disconnect();
  });

async function run(task: Extract<ToWorker, { kind: "run" }>): Promise<FromWorker> {
  const { config, resume, threads } = task;
  try {
    const engine = await openEngine(threads === undefined ? {} : { threads });
    const hooks = {
      signal: stop.signal,
      onEvent: (event: FinetuneEvent) => {
        if (event.kind !== "step") return;
        const { report, totalSteps } = event;
        send({ kind: "step", step: report.step, totalSteps, loss: report.epochLoss });
      },
    };
    const result = resume
      ? await resumeFinetune(config.run, engine, hooks)
      : await finetune(config, engine, hooks);
    if (result.status === "interrupted") return { kind: "interrupted" };
    const { steps, seconds, heldOut } = result;
    return { kind: "done", result: { steps, seconds, heldOut: heldOut?.after } };
  } catch (error) {
    return { kind: "failed", message: errorText(error), isFacetError: error instanceof FacetError };
  }
}
