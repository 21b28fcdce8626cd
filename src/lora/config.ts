import { FacetError, unknownName } from "../errors.js";
import type { LinearModule } from "../nn/linear.js";

/**
 * "keras" has the variables of Keras's `enable_lora`: a query, key or value layer has one A per
 * head and one B shared by its heads. "standard" has one A and one B per matrix.
 */
export type LoraLayout = "keras" | "standard";

export interface LoraConfig {
  readonly rank: number;
  /** The update is alpha / rank · B A. */
  readonly alpha: number;
  /** Short names of the layers that get an adapter, for example `["q_proj", "v_proj"]`. */
  readonly targets: readonly string[];
  readonly layout: LoraLayout;
  /** Probability with which training drops an element of an adapter's input; default 0. */
  readonly dropout?: number;
}

/** Keras's defaults: query and value, alpha = rank. */
export const defaultTargets = ["q_proj", "v_proj"] as const;

export const loraScale = (config: LoraConfig): number => config.alpha / config.rank;

/** The modules that get an adapter. Throws a FacetError for an unknown target, or none. */
export function targetModules(
  config: LoraConfig,
  modules: readonly LinearModule[],
): readonly LinearModule[] {
  const known = new Set(modules.map((module) => module.target));
  for (const target of config.targets) {
    if (!known.has(target)) throw unknownName("LoRA target", target, known);
  }
  if (config.targets.length === 0) {
    throw new FacetError(`LoRA needs at least one target layer, of ${[...known].join(", ")}.`);
  }
  return modules.filter((module) => config.targets.includes(module.target));
}

/** Throws a FacetError for a rank or alpha that makes no sense for a new adapter of these modules. */
export function requireSensible(config: LoraConfig, modules: readonly LinearModule[]): void {
  const { rank, alpha } = config;
  for (const { path, inFeatures, outFeatures } of modules) {
    const largest = Math.min(inFeatures, outFeatures);
    if (!Number.isInteger(rank) || rank < 1 || rank > largest) {
      throw new FacetError(
        `LoRA rank must be a whole number from 1 to ${largest} (the smaller side of ${path}, ` +
          `${outFeatures} × ${inFeatures}), not ${rank}.`,
      );
    }
  }
  if (!(alpha > 0)) throw new FacetError(`LoRA alpha must be positive, not ${alpha}.`);
  const { dropout = 0 } = config;
  if (!(dropout >= 0 && dropout < 1)) {
    throw new FacetError(`LoRA dropout must be at least 0 and below 1, not ${dropout}.`);
  }
}
