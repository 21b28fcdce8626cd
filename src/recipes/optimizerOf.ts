import type { Slot } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { withAverage } from "../training/optimizers/average.js";
import { namedOptimizer } from "../training/optimizers/named.js";
import type { Optimizer } from "../training/optimizers/optimizer.js";
import type { FinetuneConfig } from "./finetuneConfig.js";

/**
 * The optimizer that a configuration asks for; where it keeps an average, `finish` puts that in the
 * parameters' place. Throws a FacetError for an option that would do nothing.
 */
export function optimizerOf(
  config: FinetuneConfig,
  slots: readonly Slot[],
): { optimizer: Optimizer; finish: (values: Float32Array) => void } {
  const excluded = config.decayExclude.map((pattern) => excludedBy(pattern, slots));
  const { loraPlusRatio } = config;
  const optimizer = namedOptimizer(config.optimizer, slots, {
    ...config,
    // A norm's scale is no matrix that could grow too large.
    decays: (name) => !name.endsWith("norm.weight") && !excluded.some((e) => e.test(name)),
    rateFactor: (name) => (name.endsWith(".lora_b") ? loraPlusRatio : 1),
  });
  if (config.ema === undefined) return { optimizer, finish: () => {} };
  const averaged = withAverage(optimizer, slots, config.ema);
  return { optimizer: averaged, finish: averaged.copyAverage };
}

function excludedBy(pattern: string, slots: readonly Slot[]): RegExp {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch (error) {
    throw new FacetError(
      `--decay-exclude ${JSON.stringify(pattern)} is not a regular expression: ${(error as Error).message}.`,
    );
  }
  if (slots.some(({ name }) => expression.test(name))) return expression;
  throw new FacetError(
    `--decay-exclude ${JSON.stringify(pattern)} matches none of the trained variables; one is ${slots[0]!.name}.`,
  );
}
