import type { Dataset } from "../data/dataset.js";
import type { MemoryPlan } from "../runtime/memory.js";
import type { Assessment } from "../training/evaluate.js";
import type { StepReport } from "../training/loop.js";
import type { Validation } from "../training/validations.js";
import type { Share } from "./dataMix.js";
import type { Sample, StepMetrics } from "./runLog.js";

/** What a run tells its caller while it goes on. */
export type FinetuneEvent =
  /** Options that were left open, and what they are now. */
  | {
      readonly kind: "chosen";
      readonly options: Readonly<Record<string, string | number | boolean>>;
    }
  | {
      readonly kind: "data";
      readonly dataset: Dataset;
      /** What an epoch visits, where data sets are mixed. */
      readonly shares: readonly Share[] | undefined;
    }
  | {
      readonly kind: "plan";
      readonly memory: MemoryPlan;
      readonly trainable: number;
      /** All parameters of the model, an adapter's not included. */
      readonly parameters: number;
      readonly totalSteps: number;
      readonly firstStep: number;
    }
  /** The base model's log-probabilities of so many pairs are being computed. */
  | { readonly kind: "reference"; readonly pairs: number }
  | {
      readonly kind: "pace";
      /** About what a step will take. */
      readonly secondsPerStep: number;
      /** Steps to go. */
      readonly steps: number;
    }
  | { readonly kind: "step"; readonly report: StepReport; readonly totalSteps: number }
  | { readonly kind: "metrics"; readonly metrics: StepMetrics }
  | {
      readonly kind: "evaluation";
      readonly when: Moment;
      readonly step: number;
      readonly result: Assessment;
    }
  | {
      readonly kind: "sample";
      readonly when: Moment;
      readonly step: number;
      readonly prompt: string;
      readonly text: string;
    }
  | { readonly kind: "checkpoint"; readonly step: number; readonly path: string };

/** Before the first step, after the last one, or between. */
export type Moment = "before" | "during" | "after";

export interface FinetuneResult {
  readonly run: string;
  /** "interrupted" when the signal ended the run early; it can be resumed. */
  readonly status: "finished" | "interrupted";
  readonly steps: number;
  /** What came of it: an adapter in the run folder's `adapter`, or a whole model in its `model`. */
  readonly method: "lora" | "full";
  /** Whether validations without an improvement ended the run. */
  readonly stoppedEarly: boolean;
  /** The lowest held-out loss during training, where it was measured. */
  readonly best: Validation | undefined;
  readonly trainableParameters: number;
  /** Of the last epoch that was worked on, as Keras reports it. */
  readonly loss: number;
  readonly accuracy: number;
  readonly heldOut: { readonly before: Assessment; readonly after: Assessment } | undefined;
  readonly samples: readonly Sample[];
  readonly tokensPerSecond: number;
  readonly seconds: number;
}
