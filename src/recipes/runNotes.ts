import { z } from "zod";
import { FacetError } from "../errors.js";
import { checkpointNotes } from "../training/checkpoints.js";
import { lossWatchState, startOfWatch } from "../training/lossWatch.js";

const count = z.int().nonnegative();

/** Sums over the steps since the last line of metrics. */
const intervalSchema = z.strictObject({
  /** Σ loss · counted. */
  lossSum: z.number(),
  correct: z.number(),
  counted: z.number(),
  targetTokens: count,
  /** Of each other measure, Σ value · counted. */
  measures: z.record(z.string(), z.number()),
});
export type Interval = z.output<typeof intervalSchema>;
export const noInterval: Interval = {
  lossSum: 0,
  correct: 0,
  counted: 0,
  targetTokens: 0,
  measures: {},
};

/** What a run knows of itself besides its variables: every checkpoint has it, so that resuming is exact. */
const notesSchema = z.strictObject({
  interval: intervalSchema,
  validations: z.array(z.strictObject({ step: count, loss: z.number() })),
  watch: lossWatchState,
});
export type RunNotes = z.output<typeof notesSchema>;

export const startOfRun = (): RunNotes => ({
  interval: noInterval,
  validations: [],
  watch: startOfWatch,
});

/** The notes of a checkpoint. Throws a FacetError for a checkpoint that another version wrote. */
export function readNotes(checkpoint: string): RunNotes {
  const parsed = notesSchema.safeParse(checkpointNotes(checkpoint));
  if (parsed.success) return parsed.data;
  throw new FacetError(
    `${checkpoint} does not say how its run stood: ${z.prettifyError(parsed.error)}`,
  );
}
