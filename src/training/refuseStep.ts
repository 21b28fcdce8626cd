import type { Parameters } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import type { GradientResult } from "./gradient.js";
import { notFinite } from "./notFinite.js";

interface Step {
  readonly step: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
}

/**
 * Throws a FacetError when a step's loss or gradient is not finite, with the variable where that was first so, or when
 * every gradient is zero. Nothing has been changed by the step then.
 */
export function refuseBadStep(
  { loss }: GradientResult,
  { step, gradientNorm, learningRate }: Step,
  parameters: Parameters,
): void {
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    const what = Number.isFinite(loss) ? "gradient" : "loss";
    throw new FacetError(
      `The ${what} is not a finite number at step ${step} (learning rate ${learningRate}). ${origin(parameters)}` +
        "The run stopped before this step changed anything. Start again with a lower learning rate or with gradient clipping.",
    );
  }
  if (gradientNorm === 0) {
    throw new FacetError(
      `Every gradient is zero at step ${step}, so nothing can be learned. Check that the adapter ` +
        "reaches the loss and that the rows have target tokens.",
    );
  }
}

/** Which variable is first not finite. Gradients are made from the last layer to the first. */
function origin({ slots, values, gradients }: Parameters): string {
  const variables = notFinite(slots, values);
  if (variables.length > 0) {
    return `The variable ${variables[0]} was not finite before it (${some(variables, slots)}): the step before was too large. `;
  }
  const wrong = notFinite(slots, gradients);
  if (wrong.length === 0) return "";
  return `Going back from the loss, the gradient of ${wrong.at(-1)} is the first that is not finite (${some(wrong, slots)}). `;
}

const some = (wrong: readonly string[], all: readonly unknown[]) =>
  `${wrong.length} of ${all.length} are not`;
