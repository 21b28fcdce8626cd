import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { FacetError } from "../errors.js";
import type { Trial, TrialResult } from "../recipes/sweepTrials.js";
import type { FromWorker, ToWorker } from "./sweepWorker.js";

// Beside this file; with the ending of the sources where they are run as they are.
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
const script = fileURLToPath(new URL(`./sweepWorker.${extension}`, import.meta.url));

export interface SweepWorkers {
  /** Runs a trial in a process of its own; undefined when it was stopped. Rejects with a FacetError when it fails. */
  run(trial: Trial, resume: boolean): Promise<TrialResult | undefined>;
  /** Lets every trial finish its step and save a checkpoint, and starts no other. */
  stop(): void;
  /** Ends every process at once. */
  kill(): void;
}

/** Processes that share the processor's cores, unless `threads` says how many each takes. */
export function sweepWorkers(
  options: { readonly workers: number; readonly threads?: number | undefined },
  onStep: (trial: Trial, step: Extract<FromWorker, { kind: "step" }>) => void,
): SweepWorkers {
  const running = new Set<ChildProcess>();
  let stopped = false;
  const shared = Math.max(1, Math.floor(availableParallelism() / options.workers));
  const threads = options.threads ?? (options.workers > 1 ? shared : undefined);
  return {
    async run(trial, resume) {
      if (stopped) return undefined;
      const child = fork(script);
      running.add(child);
      const message: ToWorker = {
        ...{ kind: "run", config: trial.config, resume },
        ...(threads !== undefined && { threads }),
      };
      child.send(message);
      if (stopped) child.send({ kind: "stop" } satisfies ToWorker);
      try {
        const ending = await ended(child, (step) => onStep(trial, step));
        if (ending.kind === "interrupted") return undefined;
        if (ending.kind === "done") return ending.result;
        throw ending.isFacetError ? new FacetError(ending.message) : new Error(ending.message);
      } finally {
        running.delete(child);
      }
    },
    stop() {
      stopped = true;
      for (const child of running) {
        if (child.connected) child.send({ kind: "stop" } satisfies ToWorker);
      }
    },
    kill() {
      for (const child of running) child.kill("SIGKILL");
    },
  };
}

type Ending = Exclude<FromWorker, { kind: "step" }>;

/** What a worker said last, once its process has ended. */
function ended(
  child: ChildProcess,
  onStep: (step: Extract<FromWorker, { kind: "step" }>) => void,
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let ending: Ending | undefined;
    child.on("message", (message: FromWorker) => {
      if (message.kind === "step") onStep(message);
      else ending = message;
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (ending !== undefined) resolve(ending);
      else reject(lost(code, signal));
    });
  });
}

const lost = (code: number | null, signal: NodeJS.Signals | null) =>
  new FacetError(
    `The run's process ended without a result (${signal ?? `code ${code}`}). It may have been out of memory: use fewer workers, or a smaller microBatchSize.`,
  );
