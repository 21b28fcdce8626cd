import { FacetError, unknownName } from "../errors.js";
import type { LinearModule } from "../nn/linear.js";

/**
 * "keras" has the variables of Keras's `enable_lora`: a query, key or value layer has one A per
 * head and one B shared by its heads. "standard" has one A and one B per matrix.
 */
export type LoraLayout = "keras" | "standard";

export const adapterStarts = ["random", "pissa"] as const;
export type AdapterStart = (typeof adapterStarts)[number];

export interface LoraConfig {
  readonly rank: number;
  /** The update is alpha / rank · B A. */
  readonly alpha: number;
  /** Short names of the layers that get an adapter, for example `["q_proj", "v_proj"]`. */
  readonly targets: readonly string[];
  readonly layout: LoraLayout;
  /** Probability with which training drops an element of an adapter's input; default 0. */
  readonly dropout?: number;
  /** Also train the length of each row of W + s·B A (DoRA); in the standard layout only. */
  readonly dora?: boolean;
  /**
   * What training starts from: random numbers in A and zeros in B, or the largest singular values of the weight
   * (PiSSA, see pissa.ts); in the standard layout only. Default "random".
   */
  readonly start?: AdapterStart;
  /** Numbers of the blocks that get an adapter; default: all. */
  readonly layers?: readonly number[];
  /** The update is alpha / √rank · B A instead (Kalajdzievski 2023, arXiv:2312.03732). */
  readonly rankStabilized?: boolean;
  /** Modules of another rank or alpha, by path. */
  readonly ranks?: ReadonlyMap<string, number>;
  readonly alphas?: ReadonlyMap<string, number>;
}

/** Keras's defaults: query and value, alpha = rank. */
export const defaultTargets = ["q_proj", "v_proj"] as const;

/** The rank of a module's adapter. */
export const rankOf = (config: LoraConfig, { path }: Pick<LinearModule, "path">): number =>
  config.ranks?.get(path) ?? config.rank;

/** What a module's B A is multiplied by. */
export function scaleOf(config: LoraConfig, module: Pick<LinearModule, "path">): number {
  const rank = rankOf(config, module);
  const alpha = config.alphas?.get(module.path) ?? config.alpha;
  return alpha / (config.rankStabilized ? Math.sqrt(rank) : rank);
}

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
  const { targets, layers } = config;
  return modules.filter(
    ({ target, layer }) => targets.includes(target) && (layers?.includes(layer) ?? true),
  );
}

/** Throws a FacetError for a rank or alpha that makes no sense for a new adapter of these modules. */
export function requireSensible(config: LoraConfig, modules: readonly LinearModule[]): void {
  for (const module of modules) {
    const { path, inFeatures, outFeatures } = module;
    const rank = rankOf(config, module);
    const largest = Math.min(inFeatures, outFeatures);
    if (!Number.isInteger(rank) || rank < 1 || rank > largest) {
      throw new FacetError(
        `LoRA rank must be a whole number from 1 to ${largest} (the smaller side of ${path}, ` +
          `${outFeatures} × ${inFeatures}), not ${rank}.`,
      );
    }
  }
  const { alpha } = config;
  if (!(alpha > 0)) throw new FacetError(`LoRA alpha must be positive, not ${alpha}.`);
  for (const [method, isAsked] of [
    ["DoRA", config.dora],
    ["PiSSA", config.start === "pissa"],
  ] as const) {
    if (!isAsked || config.layout === "standard") continue;
    throw new FacetError(
      `${method} has no form with Keras's variables. Use it with --layout standard.`,
    );
  }
  if (config.dora && config.start === "pissa") {
    throw new FacetError("DoRA and PiSSA exclude each other: choose one.");
  }
  const { dropout = 0 } = config;
  if (!(dropout >= 0 && dropout < 1)) {
    throw new FacetError(`LoRA dropout must be at least 0 and below 1, not ${dropout}.`);
  }
}
