import { FacetError } from "../errors.js";
import type { Random } from "../random.js";

/** Chooses the next token from logits `[V]`; `previous` are the row's ids so far, prompt included. */
export type Sampler = (logits: Float32Array, random: Random, previous: readonly number[]) => number;

/** Always the most likely token; the first of equals. */
export const greedy = (): Sampler => (logits) => argmax(logits);

export interface TemperatureOptions {
  /** Logits are divided by it: below 1 is bolder, above 1 more varied. Default 1. */
  readonly temperature?: number;
}

/** From the whole distribution. */
export function randomSampler({ temperature = 1 }: TemperatureOptions = {}): Sampler {
  requirePositive("temperature", temperature);
  return (logits, random) => draw(candidates(logits, logits.length), temperature, random);
}

/** From the k most likely tokens (Fan et al. 2018, arXiv:1805.04833). Keras's default is k = 5. */
export function topK({
  k = 5,
  temperature = 1,
}: TemperatureOptions & { k?: number } = {}): Sampler {
  requirePositive("temperature", temperature);
  if (!Number.isInteger(k) || k < 1)
    throw new FacetError(`top_k needs a whole k from 1, not ${k}.`);
  return (logits, random) => draw(candidates(logits, k), temperature, random);
}

/**
 * From the smallest set of tokens whose probability reaches p (Holtzman et al. 2020,
 * arXiv:1904.09751). Keras's default is p = 0.1.
 */
export function topP({
  p = 0.1,
  temperature = 1,
}: TemperatureOptions & { p?: number } = {}): Sampler {
  requirePositive("temperature", temperature);
  if (!(p > 0 && p <= 1)) throw new FacetError(`top_p needs p above 0 and at most 1, not ${p}.`);
  return (logits, random) => {
    const all = candidates(logits, logits.length);
    const weights = softWeights(all, temperature);
    const total = weights.reduce((a, b) => a + b, 0);
    let kept = 0;
    for (let sum = 0; kept < weights.length && sum < p * total; kept++) sum += weights[kept]!;
    return draw(all.slice(0, kept), temperature, random);
  };
}

/**
 * Makes tokens that the row already holds less likely before `sampler` chooses: a positive logit is
 * divided by the penalty, a negative one multiplied (Keskar et al. 2019, arXiv:1909.05858).
 * 1 changes nothing; 1.1 to 1.3 is usual.
 */
export function repetitionPenalty(sampler: Sampler, penalty: number): Sampler {
  requirePositive("repetition penalty", penalty);
  return (logits, random, previous) => {
    const changed = logits.slice();
    for (const id of new Set(previous)) {
      const logit = logits[id]!;
      changed[id] = logit > 0 ? logit / penalty : logit * penalty;
    }
    return sampler(changed, random, previous);
  };
}

interface Candidate {
  readonly id: number;
  readonly logit: number;
}

/** The `count` largest logits, largest first. */
function candidates(logits: Float32Array, count: number): Candidate[] {
  if (count >= logits.length) {
    const all = Array.from(logits, (logit, id) => ({ id, logit }));
    return all.sort((a, b) => b.logit - a.logit || a.id - b.id);
  }
  const best: Candidate[] = [];
  logits.forEach((logit, id) => {
    if (best.length === count && logit <= best.at(-1)!.logit) return;
    let place = best.length;
    while (place > 0 && best[place - 1]!.logit < logit) place--;
    best.splice(place, 0, { id, logit });
    if (best.length > count) best.pop();
  });
  return best;
}

function softWeights(sorted: readonly Candidate[], temperature: number): number[] {
  const largest = sorted[0]!.logit;
  return sorted.map(({ logit }) => Math.exp((logit - largest) / temperature));
}

function draw(sorted: readonly Candidate[], temperature: number, random: Random): number {
  const weights = softWeights(sorted, temperature);
  let left = random.uniform() * weights.reduce((a, b) => a + b, 0);
  for (const [i, { id }] of sorted.entries()) {
    left -= weights[i]!;
    if (left < 0) return id;
  }
  return sorted[0]!.id;
}

function argmax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

function requirePositive(what: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) {
    throw new FacetError(`The ${what} must be a positive number, not ${value}.`);
  }
}
