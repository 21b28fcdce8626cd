import type { Parameters } from "../engines/parameters.js";
import { adafactor } from "../training/optimizers/adafactor.js";
import { adam } from "../training/optimizers/adam.js";
import { adamW } from "../training/optimizers/adamW.js";
import { lion } from "../training/optimizers/lion.js";
import { muon } from "../training/optimizers/muon.js";
import type { CommonOptions, Optimizer } from "../training/optimizers/optimizer.js";
import { sgd } from "../training/optimizers/sgd.js";

/** What every optimizer of Keras takes. */
export interface OptimizerArguments {
  readonly learningRate?: number;
  /** Decoupled, for every optimizer, as in Keras. Default: none, but 0.004 for AdamW and Muon. */
  readonly weightDecay?: number;
}

export interface AdamArguments extends OptimizerArguments {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** An optimizer as Keras has them, with Keras's names and defaults (keras/src/optimizers). */
export abstract class KerasOptimizer<A extends OptimizerArguments = OptimizerArguments> {
  protected readonly defaultLearningRate: number = 1e-3;
  #excluded: readonly string[] = [];

  constructor(protected readonly options: A = {} as A) {}

  get learningRate(): number {
    return this.options.learningRate ?? this.defaultLearningRate;
  }

  /** Variables whose path holds one of these names do not decay. */
  excludeFromWeightDecay({ varNames }: { varNames: readonly string[] }): void {
    this.#excluded = varNames;
  }

  /** The optimizer of a set of variables. */
  build(parameters: Parameters): Optimizer {
    const decays = (name: string) => !this.#excluded.some((part) => name.includes(part));
    return this.make(parameters, { decays });
  }

  protected abstract make(parameters: Parameters, common: CommonOptions): Optimizer;
}

export interface SGDArguments extends OptimizerArguments {
  readonly momentum?: number;
  readonly nesterov?: boolean;
}

/** keras.optimizers.SGD. */
export class SGD extends KerasOptimizer<SGDArguments> {
  protected override readonly defaultLearningRate = 1e-2;

  protected make({ slots }: Parameters, common: CommonOptions): Optimizer {
    return sgd(slots, { ...this.options, ...common });
  }
}

/** keras.optimizers.Adam. */
export class Adam extends KerasOptimizer<AdamArguments> {
  protected make({ slots }: Parameters, common: CommonOptions): Optimizer {
    return adam(slots, { ...this.options, ...common });
  }
}

/** keras.optimizers.AdamW. */
export class AdamW extends KerasOptimizer<AdamArguments> {
  protected make({ slots }: Parameters, common: CommonOptions): Optimizer {
    return adamW(slots, { ...this.options, ...common });
  }
}

export interface AdafactorArguments extends OptimizerArguments {
  readonly beta2Decay?: number;
  readonly epsilon1?: number;
  readonly epsilon2?: number;
  readonly clipThreshold?: number;
}

/** keras.optimizers.Adafactor. */
export class Adafactor extends KerasOptimizer<AdafactorArguments> {
  protected make({ slots }: Parameters, common: CommonOptions): Optimizer {
    return adafactor(slots, { ...this.options, ...common });
  }
}

/** keras.optimizers.Lion. */
export class Lion extends KerasOptimizer<Omit<AdamArguments, "epsilon">> {
  protected make({ slots }: Parameters, common: CommonOptions): Optimizer {
    return lion(slots, { ...this.options, ...common });
  }
}

export interface MuonArguments extends OptimizerArguments {
  readonly adamBeta1?: number;
  readonly adamBeta2?: number;
  readonly adamWeightDecay?: number;
  readonly epsilon?: number;
  /** Names of variables that AdamW gets although they are matrices. */
  readonly excludeLayers?: readonly string[];
  readonly excludeEmbeddings?: boolean;
  readonly adamLrRatio?: number;
  readonly momentum?: number;
  readonly nsSteps?: number;
  readonly nesterov?: boolean;
  readonly rmsRate?: number;
}

/** keras.optimizers.Muon. */
export class Muon extends KerasOptimizer<MuonArguments> {
  protected make({ slots }: Parameters, common: CommonOptions): Optimizer {
    const { weightDecay = 0.004, adamWeightDecay = 0.004 } = this.options;
    const { excludeLayers = [], excludeEmbeddings = true } = this.options;
    const { epsilon, momentum, nesterov, rmsRate } = this.options;
    const excluded = [...excludeLayers, ...(excludeEmbeddings ? ["embed"] : [])];
    return muon(slots, {
      ...common,
      weightDecay,
      adamWeightDecay,
      beta1: this.options.adamBeta1,
      beta2: this.options.adamBeta2,
      adamRateRatio: this.options.adamLrRatio,
      newtonSchulzSteps: this.options.nsSteps,
      epsilon,
      momentum,
      nesterov,
      rmsRate,
      excludes: (name) => excluded.some((part) => name.includes(part)),
    });
  }
}
