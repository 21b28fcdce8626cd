import { accuracy } from "./accuracy.js";
import { answerLength, lengthRatio } from "./answerLength.js";
import { choiceAccuracy, choiceAccuracyNormalized } from "./choiceAccuracy.js";
import { exactMatch } from "./exactMatch.js";
import { loss } from "./loss.js";
import { perplexity } from "./perplexity.js";
import { rougeL } from "./rougeL.js";
import { stopRate } from "./stopRate.js";

/** What is measured on the target tokens of rows. */
export const tokenMetrics = [loss, perplexity, accuracy] as const;

/** What is measured on a model's own answers. */
export const answerMetrics = [stopRate, exactMatch, rougeL, answerLength, lengthRatio] as const;

/** What is measured on questions with given choices. */
export const choiceMetrics = [choiceAccuracy, choiceAccuracyNormalized] as const;
