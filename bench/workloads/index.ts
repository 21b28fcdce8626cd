import { openCopy } from "./copy.js";
import { openDolly } from "./dollyNano.js";
import { openExport2b } from "./export2b.js";
import { openGemm } from "./gemm.js";
import { openGemma2bGeneration, openGemma2bTraining } from "./gemma2b.js";
import { openGeneration } from "./generation.js";
import { openLlama } from "./llama.js";
import { openPadding } from "./padding.js";
import { openPeerStep } from "./peerStep.js";
import { openPlannedStep } from "./plannedStep.js";
import { openStep } from "./step.js";
import { openTokenizer } from "./tokenizer.js";
import { openWorkloadS } from "./workloadS.js";

/** Everything that is measured in a process of its own: opened once, run as often as asked. */
export const workloads = {
  gemm: openGemm,
  step: openStep,
  workloadS: openWorkloadS,
  padding: openPadding,
  dolly: openDolly,
  gemma2bTraining: openGemma2bTraining,
  gemma2bGeneration: openGemma2bGeneration,
  export2b: openExport2b,
  copy: openCopy,
  generation: openGeneration,
  llama: openLlama,
  peerStep: openPeerStep,
  plannedStep: openPlannedStep,
  tokenizer: openTokenizer,
};

export type Workloads = typeof workloads;
export type WorkloadName = keyof Workloads;
export type OptionsOf<N extends WorkloadName> = Parameters<Workloads[N]>[0];
export type SampleOf<N extends WorkloadName> = Awaited<
  ReturnType<Awaited<ReturnType<Workloads[N]>>>
>;
