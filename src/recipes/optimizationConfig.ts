import { z } from "zod";
import { optimizerNames } from "../training/optimizers/named.js";

const fraction = z.number().min(0).lt(1);

/** How the learning rate ends, with this default of its last value. */
export const scheduleFields = (finalFraction: number) => ({
  finalFraction: z
    .number()
    .min(0)
    .max(1)
    .default(finalFraction)
    .describe("learning rate at the end of a decay, as a fraction of the peak"),
  schedulePower: z
    .number()
    .positive()
    .optional()
    .describe("exponent of the schedule polynomial (default: 2)"),
  decayFraction: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("share of all steps that the schedule wsd decays over (default: 0.2)"),
});

/** The optimizer of a fine-tuning run. An option that the chosen optimizer has no use for is refused. */
export const optimizerFields = {
  optimizer: z.enum(optimizerNames).default("adamw").describe("what makes a step of a gradient"),
  weightDecay: z
    .number()
    .nonnegative()
    .optional()
    .describe("decoupled weight decay (default: 0.01; 0 for adam, sgd and adafactor)"),
  beta1: fraction.optional().describe("decay of the first moment (default: 0.9)"),
  beta2: fraction.optional().describe("decay of the second moment (default: 0.999; 0.99 for lion)"),
  epsilon: z
    .number()
    .positive()
    .optional()
    .describe("what Adam adds to the root of the second moment (default: 1e-7)"),
  momentum: fraction.optional().describe("momentum of sgd and muon (default: 0; 0.95 for muon)"),
  decayExclude: z
    .array(z.string())
    .default([])
    .describe("regular expression for the names of variables that do not decay"),
  loraPlusRatio: z
    .number()
    .positive()
    .default(1)
    .describe("learning rate of LoRA's B as a multiple of A's (LoRA+)"),
  ema: fraction
    .optional()
    .describe("keep a moving average of the variables with this decay, and save it as the result"),
  nesterov: z.boolean().optional().describe("Nesterov's momentum, for sgd; muon has it anyway"),
};
