import type { Program } from "../../graph/index.js";
import {
  classificationEvaluationProgram,
  classificationProgram,
} from "./classificationPrograms.js";
import {
  type PreferenceLoss,
  preferenceEvaluationProgram,
  preferenceProgram,
} from "./preferencePrograms.js";
import {
  evaluationProgram,
  type GemmaGraph,
  type ProgramOptions,
  trainingProgram,
} from "./programs.js";

/** The programs that belong to what is learned. */
export interface ObjectivePrograms {
  readonly name: string;
  /** Gives `loss`, `gradient:<parameter>` of it, and what else the objective measures. */
  training(model: GemmaGraph, options: ProgramOptions & { recompute: boolean }): Program;
  /** The same without gradients. */
  evaluation(model: GemmaGraph, options: ProgramOptions): Program;
}

export const nextTokenPrograms: ObjectivePrograms = {
  name: "next token",
  training: trainingProgram,
  evaluation: evaluationProgram,
};

export const preferencePrograms = (loss: PreferenceLoss): ObjectivePrograms => ({
  name: `${loss.kind} ${loss.beta}`,
  training: (model, options) => preferenceProgram(model, options, loss),
  evaluation: (model, options) => preferenceEvaluationProgram(model, options, loss),
});

export const classificationPrograms: ObjectivePrograms = {
  name: "classification",
  training: classificationProgram,
  evaluation: classificationEvaluationProgram,
};
