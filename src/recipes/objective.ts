import type { Prepared as PreparedSide } from "../data/examples.js";
import type { Pairs } from "../data/pairBatches.js";
import {
  classificationPrograms,
  nextTokenPrograms,
  type ObjectivePrograms,
  preferencePrograms,
} from "../models/gemma/objectivePrograms.js";
import type { PreferenceLoss } from "../models/gemma/preferencePrograms.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { classificationObjective } from "../training/classification.js";
import { type Assessment, evaluate, evaluateObjective } from "../training/evaluate.js";
import type { LossReduction, Objective } from "../training/gradient.js";
import {
  type PreferenceScores,
  pairEvaluationBatches,
  preferenceObjective,
} from "../training/preferences.js";
import { evaluationBatches } from "../training/sources.js";
import type { FinetuneEvent } from "./finetuneEvents.js";
import { preferenceLossOf } from "./objectiveConfig.js";
import type { Prepared } from "./prepare.js";
import { referenceScores, visited } from "./referenceScores.js";

/** What a run learns, ready to be computed. */
export interface RunObjective {
  readonly programs: ObjectivePrograms;
  readonly objective: LossReduction | Objective;
  /** Loss and accuracy on the held-out rows, if there are any. */
  assess(session: Session): Promise<Assessment | undefined>;
}

/**
 * The objective of a run. For DPO the base model's log-probabilities are computed, once: they are kept in the run's
 * folder.
 */
export async function openObjective(
  run: string,
  prepared: Prepared,
  base: Session,
  onEvent: (event: FinetuneEvent) => void,
): Promise<RunObjective> {
  const { config, labels } = prepared;
  const loss = preferenceLossOf(config);
  if (loss !== undefined) return openPreferences(run, prepared, base, loss, onEvent);
  const { validation } = prepared.dataset;
  const { padId } = requireTokenizer(base.model);
  if (labels !== undefined) {
    return {
      programs: classificationPrograms,
      objective: classificationObjective(labels.train),
      async assess(session) {
        if (validation === undefined) return undefined;
        const program = await session.evaluation(config.sequenceLength, classificationPrograms);
        const batches = evaluationBatches(validation.examples, 4, padId);
        const objective = classificationObjective(labels.validation!);
        return evaluateObjective(program, session.parameters, batches, objective);
      },
    };
  }
  return {
    programs: nextTokenPrograms,
    objective: { kind: "mean" },
    async assess(session) {
      if (validation === undefined) return undefined;
      const program = await session.evaluation(config.sequenceLength);
      const batches = evaluationBatches(validation.examples, 4, padId);
      return evaluate(program, session.parameters, batches);
    },
  };
}

async function openPreferences(
  run: string,
  { config, dataset, source, totalSteps }: Prepared,
  base: Session,
  loss: PreferenceLoss,
  onEvent: (event: FinetuneEvent) => void,
): Promise<RunObjective> {
  const { padId } = requireTokenizer(base.model);
  const { sequenceLength } = config;
  const train = { name: "train", ...pairsOf(dataset.train) };
  const held = dataset.validation && { name: "validation", ...pairsOf(dataset.validation) };
  let scores: readonly PreferenceScores[] = [{ kind: "orpo" }, { kind: "orpo" }];
  if (loss.kind === "dpo") {
    const parts = [{ ...train, indices: visited(source, totalSteps) }, ...(held ? [held] : [])];
    const references = await referenceScores(run, base, parts, {
      ...{ padId, sequenceLength },
      onCompute: (pairs) => onEvent({ kind: "reference", pairs }),
    });
    scores = references.map((reference) => ({ kind: "dpo", reference }) as const);
  }
  const programs = preferencePrograms(loss);
  return {
    programs,
    objective: preferenceObjective(scores[0]!),
    async assess(session) {
      if (held === undefined) return undefined;
      const program = await session.evaluation(sequenceLength, programs);
      const batches = pairEvaluationBatches(held.pairs, 2, padId);
      return evaluateObjective(
        program,
        session.parameters,
        batches,
        preferenceObjective(scores[1]!),
      );
    },
  };
}

/** The pairs of one side of a data set that was read as preferences. */
function pairsOf({ examples, rejected }: PreparedSide): {
  readonly pairs: Pairs;
  readonly indices: readonly number[];
} {
  return {
    pairs: { chosen: examples, rejected: rejected! },
    indices: Array.from({ length: examples.length }, (_, i) => i),
  };
}
