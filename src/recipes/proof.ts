import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { FacetError } from "../errors.js";
import type { Session } from "../runtime/session.js";

/**
 * Relative errors of logits that rounding may cause: two to three times those of a random model, which passes errors on
 * undamped; a trained one shows a sixth of them. A model with one wrong tensor is near or above 1.
 */
const tolerances = { f32: 1e-5, f16: 2e-3, bf16: 1.5e-2, q8_0: 0.1, q4_0: 0.8 } as const;

/** Types that numbers are written in. */
export type OutType = keyof typeof tolerances;
export const outTypes = Object.keys(tolerances) as OutType[];

/** How far the logits of a written model lie from those of the live one. */
export interface Proof {
  /** max |written − live| over all logits of all positions of the fixed prompts. */
  readonly largestDifference: number;
  /** √mean (written − live)², divided by the live logits' standard deviation. */
  readonly relativeError: number;
  /** What the relative error may be. */
  readonly tolerance: number;
  /** Positions compared. */
  readonly positions: number;
  readonly holds: boolean;
}

/** What was written, and how it was proved. */
export interface WrittenFile {
  readonly out: string;
  readonly type: OutType;
  /** Undefined when nothing was verified. */
  readonly proof: Proof | undefined;
  /** What the user should know besides. */
  readonly warnings: readonly string[];
}

/** Throws a FacetError for a type that what is written has not. */
export function requireType(to: string, type: OutType, types: readonly OutType[]): void {
  if (types.includes(type)) return;
  throw new FacetError(`--to ${to} cannot be written as ${type}; it takes ${types.join(", ")}.`);
}

/** `out`, where nothing is yet. Throws a FacetError otherwise. */
export function requireFree(out: string): string {
  if (!existsSync(out)) return out;
  throw new FacetError(`${out} exists already. Choose another --out, or remove it first.`);
}

/**
 * Compares what was written at `out` with the live model on fixed prompts. `written` opens it; it may use a folder
 * beside it, which is removed afterwards. Both sessions are closed.
 */
export async function prove(pair: {
  readonly live: Session;
  readonly written: (place: string) => Promise<Session>;
  readonly out: string;
  readonly type: OutType;
}): Promise<Proof> {
  const prompts = proofPrompts(pair.live);
  const expected = await logitsOf(pair.live, prompts);
  const place = mkdtempSync(join(dirname(pair.out), ".facet-proof-"));
  try {
    const found = await logitsOf(await pair.written(place), prompts);
    return compareLogits(expected, found, tolerances[pair.type]);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function logitsOf(session: Session, prompts: number[][]): Promise<PromptLogits> {
  try {
    return await promptLogits(session, prompts);
  } finally {
    await session.close();
  }
}

/** Everyday text, a list of numbers, code, and letters outside ASCII: pieces of every kind. */
const prompts = [
  "Instruction:\nWhat should I do on a trip to Europe?\n\nResponse:\n",
  "1, 2, 3, 5, 8, 13: the next number is",
  "def area(r):\n    return 3.14159 * r ** 2\n",
  "Le café près de l’église fermait à 19 h 30.",
];

/** Longest prompt in tokens: a proof should not take longer than the export. */
const maxTokens = 32;

/** The same token ids for every model with that tokenizer; without one, ids spread over the vocabulary. */
export function proofPrompts({ model }: Session): number[][] {
  const { tokenizer, config } = model;
  const rows = tokenizer
    ? prompts.map((text) => [tokenizer.bosId, ...tokenizer.encode(text)])
    : prompts.map((text, row) =>
        Array.from(text, (_, i) => (i * 7919 + row * 104_729 + 2) % config.vocabularySize),
      );
  const longest = Math.min(maxTokens, config.maxPositions);
  return rows.map((row) => row.slice(0, longest));
}

/** Logits of every position of every prompt, `[positions, vocabularySize]`. */
export interface PromptLogits {
  readonly values: readonly Float32Array[];
  readonly vocabularySize: number;
}

/** Runs the prompts through a session, one after the other. */
export async function promptLogits(
  session: Session,
  rows: readonly (readonly number[])[],
): Promise<PromptLogits> {
  const program = await session.logits(Math.max(...rows.map((row) => row.length)));
  const values: Float32Array[] = [];
  for (const row of rows) {
    const shape = [1, row.length];
    const places = Int32Array.from(row, (_, i) => i);
    const outputs = await program.run({
      ids: { data: Int32Array.from(row), shape },
      positions: { data: places, shape },
      rows: { data: places, shape: [row.length] },
      ...session.parameters,
    });
    values.push(outputs.logits!.data as Float32Array);
  }
  return { values, vocabularySize: session.model.config.vocabularySize };
}

/**
 * Compares the logits that both models have: some formats leave out rows of the embedding that no
 * token uses. The verdict is on the relative error, which rounding decides: the largest of a million
 * differences says more about luck.
 */
export function compareLogits(live: PromptLogits, written: PromptLogits, tolerance: number): Proof {
  const columns = Math.min(live.vocabularySize, written.vocabularySize);
  let [largest, positions, sum, squares, errors] = [0, 0, 0, 0, 0];
  live.values.forEach((logits, prompt) => {
    const others = written.values[prompt]!;
    const rows = logits.length / live.vocabularySize;
    positions += rows;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = logits[row * live.vocabularySize + column]!;
        const difference = others[row * written.vocabularySize + column]! - value;
        largest = Math.max(largest, Math.abs(difference));
        errors += difference * difference;
        sum += value;
        squares += value * value;
      }
    }
  });
  const count = positions * columns;
  const variance = Math.max(0, squares / count - (sum / count) ** 2);
  const relativeError = errors === 0 ? 0 : Math.sqrt(errors / count / variance);
  // A NaN holds to nothing.
  const holds = relativeError <= tolerance;
  return { largestDifference: largest, relativeError, tolerance, positions, holds };
}
