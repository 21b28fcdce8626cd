import type { Assessment } from "../training/evaluate.js";
import type { FinetuneConfig } from "./finetuneConfig.js";
import type { FinetuneEvent, FinetuneResult, Moment } from "./finetuneEvents.js";
import type { StepMetrics } from "./runLog.js";

/** A run that begins, or goes on after `firstStep`. */
export interface RunStart {
  readonly folder: string;
  readonly config: FinetuneConfig;
  readonly trainableParameters: number;
  readonly totalSteps: number;
  readonly firstStep: number;
}

/**
 * What others may do beside a run, for example send its numbers elsewhere. The run waits for each call; an error that a
 * call throws ends it, with a checkpoint.
 */
export interface RunCallback {
  onStart?(run: RunStart): void | Promise<void>;
  /** A line of metrics.jsonl: every `logEvery` steps. */
  onMetrics?(metrics: StepMetrics): void | Promise<void>;
  /** Measures on the held-out rows. */
  onEvaluation?(step: number, result: Assessment, when: Moment): void | Promise<void>;
  /** An answer to one of the run's prompts. */
  onSample?(step: number, prompt: string, text: string, when: Moment): void | Promise<void>;
  onCheckpoint?(step: number, folder: string): void | Promise<void>;
  /** The run has finished, or was interrupted. */
  onEnd?(result: FinetuneResult): void | Promise<void>;
  /** The run ends with this error. */
  onError?(error: unknown): void | Promise<void>;
}

/** Tells an event to the callbacks, one after the other. */
export async function tell(
  callbacks: readonly RunCallback[],
  event: FinetuneEvent,
  run: { readonly folder: string; readonly config: FinetuneConfig },
): Promise<void> {
  for (const callback of callbacks) {
    switch (event.kind) {
      case "plan": {
        const { trainable: trainableParameters, totalSteps, firstStep } = event;
        await callback.onStart?.({ ...run, trainableParameters, totalSteps, firstStep });
        break;
      }
      case "metrics":
        await callback.onMetrics?.(event.metrics);
        break;
      case "evaluation":
        await callback.onEvaluation?.(event.step, event.result, event.when);
        break;
      case "sample":
        await callback.onSample?.(event.step, event.prompt, event.text, event.when);
        break;
      case "checkpoint":
        await callback.onCheckpoint?.(event.step, event.path);
        break;
    }
  }
}
