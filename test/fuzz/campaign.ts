import { chanceOf, happens, pick } from "./chance.js";
import type { Coverage } from "./coverage.js";
import type { FuzzedFormat } from "./format.js";
import type { Files } from "./memoryFolder.js";
import { mutate } from "./mutate.js";
import { type Finding, runCase } from "./oneCase.js";

export interface FoundCase extends Finding {
  readonly number: number;
  readonly files: Files;
}

export interface CampaignOptions {
  readonly seed: number;
  readonly cases: number;
  /** With it, of the first tenth of the cases those that reach new code are mutated further. It is slow, and stopped then. */
  readonly coverage?: Coverage;
  /** Called before each case, and at its end. */
  readonly watch?: (running: Files | undefined) => void;
  readonly progress?: (done: number, corpus: number) => void;
}

export interface CampaignResult {
  /** Inputs that are mutated: the seeds, and what was found to reach new code. */
  readonly corpus: number;
  /** The first case of each kind. */
  readonly findings: readonly FoundCase[];
  /** How many inputs the reader took. */
  readonly accepted: number;
}

/** Cases between two looks at the coverage, which cost some milliseconds. */
const BATCH = 256;

/** Mutates a format's seeds and reads the results. The same options give the same cases. */
export async function fuzz(
  format: FuzzedFormat,
  { seed, cases, coverage, watch, progress }: CampaignOptions,
): Promise<CampaignResult> {
  const seeds = await format.seeds();
  const corpus = [...seeds];
  const findings = new Map<string, FoundCase>();
  let accepted = 0;
  const counting: FuzzedFormat = {
    ...format,
    read: (folder) => {
      const reading = format.read(folder);
      if (reading === undefined) {
        accepted++;
        return;
      }
      return reading.then(() => {
        accepted++;
      });
    },
  };
  const run = async (files: Files): Promise<Finding | undefined> => {
    watch?.(files);
    const finding = await runCase(counting, files);
    watch?.(undefined);
    return finding;
  };
  for (const [i, files] of seeds.entries()) {
    const before = accepted;
    const finding = await run(files);
    // One that was slow is read again, and counts again.
    if (finding !== undefined || accepted === before) {
      throw new Error(`${format.name}: seed ${i} is refused: ${finding?.message ?? "FacetError"}`);
    }
  }
  coverage?.fresh();
  coverage?.keep();
  let guide = coverage;
  for (let start = 0; start < cases; start += BATCH) {
    if (guide !== undefined && start >= cases / 10) {
      guide.stop();
      guide = undefined;
    }
    const batch: Files[] = [];
    for (let number = start; number < Math.min(cases, start + BATCH); number++) {
      const random = chanceOf(seed, number);
      // What is new is near what was new last.
      const recent = happens(random, 2) ? Math.max(0, corpus.length - 20) : 0;
      const base = corpus[recent + random.below(corpus.length - recent)]!;
      const files = mutate(happens(random, 4) ? pick(random, seeds) : base, corpus, random);
      batch.push(files);
      const finding = await run(files);
      if (finding === undefined || findings.has(finding.signature)) continue;
      findings.set(finding.signature, { ...finding, number, files });
    }
    if (guide !== undefined && guide.fresh() > 0) {
      const reaching = await thoseOfNewCode(batch, run, guide);
      // What depends on more than one case is not looked for again.
      if (reaching.length === 0) guide.keep();
      corpus.push(...reaching);
    }
    progress?.(start + batch.length, corpus.length);
  }
  return { corpus: corpus.length, findings: [...findings.values()], accepted };
}

/** Those of some inputs that reach new code, each found by running half of them, and half of these. */
async function thoseOfNewCode(
  batch: readonly Files[],
  run: (files: Files) => Promise<unknown>,
  coverage: Coverage,
): Promise<Files[]> {
  for (const files of batch) await run(files);
  if (coverage.fresh() === 0) return [];
  if (batch.length === 1) {
    coverage.keep();
    return [...batch];
  }
  const half = batch.length >> 1;
  return [
    ...(await thoseOfNewCode(batch.slice(0, half), run, coverage)),
    ...(await thoseOfNewCode(batch.slice(half), run, coverage)),
  ];
}
