import type { Slot } from "../../engines/parameters.js";
import { FacetError } from "../../errors.js";

/** A tensor of an optimizer's state. */
export type StateTensor = { readonly shape: readonly number[] } & (
  | { readonly dtype: "F32"; readonly data: Float32Array }
  | { readonly dtype: "U8"; readonly data: Uint8Array }
);

/**
 * Updates parameters in place from their gradients. Both lie flat, in the order of the slots that
 * the optimizer was made for. Arithmetic is in float64, and what is stored is rounded once.
 */
export interface Optimizer {
  readonly name: string;
  /** Steps taken so far. */
  step: number;
  /**
   * All that the next step depends on besides `step` and the parameters, by `<what>/<variable>`:
   * what a checkpoint has to hold.
   */
  readonly state: ReadonlyMap<string, StateTensor>;
  update(values: Float32Array, gradients: Float32Array, learningRate: number): void;
}

/** What every optimizer takes. */
export interface CommonOptions {
  /** Decoupled decay, p ← p − lr · decay · p before the update (Loshchilov and Hutter 2019, arXiv:1711.05101). */
  readonly weightDecay?: number | undefined;
  /** Whether a variable decays; default: all do. */
  readonly decays?: ((name: string) => boolean) | undefined;
  /** Factor on a variable's learning rate; default 1. */
  readonly rateFactor?: ((name: string) => number) | undefined;
}

/** How an optimizer treats one variable. */
export interface VariableRule {
  /** The variable's state by what it is, for example `m`. */
  readonly state: Readonly<Record<string, StateTensor>>;
  /** Moves p against its gradient g. */
  update(p: Float32Array, g: Float32Array, at: VariableStep): void;
}

export interface VariableStep {
  /** Counted from 1. */
  readonly step: number;
  /** The variable's learning rate. */
  readonly rate: number;
  /** What decay leaves of the variable: 1 − rate · decay. */
  readonly kept: number;
}

/** An optimizer from the rule that each variable gets. `decayOf` is the weight decay of those that decay. */
export function optimizerOf(
  name: string,
  slots: readonly Slot[],
  { decays, rateFactor }: CommonOptions,
  decayOf: (slot: Slot) => number,
  ruleOf: (slot: Slot) => VariableRule,
): Optimizer {
  const variables = slots.map((slot) => ({
    ...slot,
    rule: ruleOf(slot),
    decay: (decays?.(slot.name) ?? true) ? decayOf(slot) : 0,
    factor: rateFactor?.(slot.name) ?? 1,
  }));
  const state = variables.flatMap(({ name: variable, rule }) =>
    Object.entries(rule.state).map(([what, tensor]) => [`${what}/${variable}`, tensor] as const),
  );
  return {
    name,
    step: 0,
    state: new Map(state),
    update(values, gradients, learningRate) {
      this.step += 1;
      for (const { offset, length, rule, decay, factor } of variables) {
        const rate = learningRate * factor;
        const p = values.subarray(offset, offset + length);
        const g = gradients.subarray(offset, offset + length);
        rule.update(p, g, { step: this.step, rate, kept: 1 - rate * decay });
      }
    },
  };
}

export const stateBytes = ({ state }: Optimizer): number =>
  [...state.values()].reduce((sum, { data }) => sum + data.byteLength, 0);

/** State of a variable's shape, all zero. */
export const momentOf = ({ shape, length }: Slot) =>
  ({ dtype: "F32", shape, data: new Float32Array(length) }) as const;

/** Throws a FacetError unless every value is at least 0, and below the limit. */
export function requireRanges(
  optimizer: string,
  values: Readonly<Record<string, number>>,
  limit: number = Number.POSITIVE_INFINITY,
): void {
  for (const [what, value] of Object.entries(values)) {
    if (value >= 0 && value < limit) continue;
    const end = limit === Number.POSITIVE_INFINITY ? "finite" : `below ${limit}`;
    throw new FacetError(`${optimizer}'s ${what} must be at least 0 and ${end}, not ${value}.`);
  }
}
