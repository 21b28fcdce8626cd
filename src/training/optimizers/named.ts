import type { Slot } from "../../engines/parameters.js";
import { FacetError } from "../../errors.js";
import { adafactor } from "./adafactor.js";
import { adam } from "./adam.js";
import { adam8bit } from "./adam8bit.js";
import { adamW } from "./adamW.js";
import { lion } from "./lion.js";
import { muon } from "./muon.js";
import type { CommonOptions, Optimizer } from "./optimizer.js";
import { sgd } from "./sgd.js";

/** Options that some optimizers have and others have not. */
interface Settings {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  readonly epsilon?: number | undefined;
  readonly momentum?: number | undefined;
  readonly nesterov?: boolean | undefined;
}

interface Entry {
  readonly make: (slots: readonly Slot[], options: CommonOptions & Settings) => Optimizer;
  readonly takes: readonly (keyof Settings)[];
  /** Where none is given. */
  readonly weightDecay: number;
}

const ofAdam = ["beta1", "beta2", "epsilon"] as const;

const optimizers = {
  adamw: { make: adamW, takes: ofAdam, weightDecay: 0.01 },
  adam: { make: adam, takes: ofAdam, weightDecay: 0 },
  adam8bit: { make: adam8bit, takes: ofAdam, weightDecay: 0.01 },
  adafactor: { make: adafactor, takes: [], weightDecay: 0 },
  lion: { make: lion, takes: ["beta1", "beta2"], weightDecay: 0.01 },
  muon: { make: muon, takes: [...ofAdam, "momentum"], weightDecay: 0.01 },
  sgd: { make: sgd, takes: ["momentum", "nesterov"], weightDecay: 0 },
} as const satisfies Record<string, Entry>;

export type OptimizerName = keyof typeof optimizers;
export const optimizerNames = Object.keys(optimizers) as [OptimizerName, ...OptimizerName[]];

const settingNames = ["beta1", "beta2", "epsilon", "momentum", "nesterov"] as const;

/** The optimizer of a name. Throws a FacetError for a setting that it would ignore. */
export function namedOptimizer(
  name: OptimizerName,
  slots: readonly Slot[],
  options: CommonOptions & Settings,
): Optimizer {
  const { make, takes, weightDecay }: Entry = optimizers[name];
  const ignored = settingNames.filter((key) => options[key] !== undefined && !takes.includes(key));
  if (ignored.length > 0) {
    const has = takes.length === 0 ? "none of these" : takes.join(", ");
    throw new FacetError(
      `The optimizer ${name} has no use for ${ignored.join(", ")}; it has ${has}. Leave ${ignored.length === 1 ? "it" : "them"} out.`,
    );
  }
  return make(slots, { ...options, weightDecay: options.weightDecay ?? weightDecay });
}
