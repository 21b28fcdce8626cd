import { existsSync } from "node:fs";
import { z } from "zod";
import { complete } from "../augment/chatCompletions.js";
import { madeFrom, taggedRow } from "../augment/origin.js";
import {
  PHRASES,
  type RewriteContext,
  type RewriteName,
  rewriteNames,
  rewrites,
} from "../augment/rewrites.js";
import { slotsOf } from "../augment/slots.js";
import { fieldNames, synthesize, textOf } from "../augment/synthesis.js";
import { columnNames, renaming } from "../data/columns.js";
import { dataFiles, dataRows } from "../data/dataFiles.js";
import { duplicateFinder } from "../data/duplicates.js";
import { rowFilter } from "../data/filters.js";
import type { Row } from "../data/rows.js";
import { FacetError } from "../errors.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import type { DownloadHooks } from "../hub/download.js";
import { locateData } from "../hub/locateData.js";
import { createRandom } from "../random.js";
import { finetuneSchema } from "./finetuneConfig.js";
import { dataNames } from "./openDataset.js";

const count = z.int().positive();
const { data, filter, columns, limit } = finetuneSchema.shape;

export const augmentSchema = z.strictObject({
  data: data.describe("rows to begin with: file, folder, or what to download"),
  out: z.string().describe("file of JSON Lines to write; must not exist yet"),
  filter,
  columns,
  limit,
  rewrites: z
    .array(z.enum(rewriteNames))
    .default([])
    .describe("ways to rewrite each instruction; the answer stays"),
  copies: count.default(1).describe("rows that each rewrite makes of a row, where they differ"),
  phrase: z
    .array(z.string())
    .default([])
    .describe("sentence with {prompt} in it for paraphrase, instead of the built-in ones"),
  synthesize: count
    .optional()
    .describe("rows to have written by a model after the pattern of these"),
  endpoint: z
    .string()
    .optional()
    .describe("server that speaks OpenAI's chat completions, such as http://localhost:11434/v1"),
  endpointModel: z.string().optional().describe("the model's name at that server"),
  apiKeyVariable: z
    .string()
    .default("OPENAI_API_KEY")
    .describe("environment variable that holds the server's key, if it wants one"),
  temperature: z.number().min(0).default(1).describe("how much the model's rows vary"),
  originals: z.boolean().default(true).describe("write the rows themselves too"),
  seed: z.int().nonnegative().default(0).describe("seed of what is chosen at random"),
});

export type AugmentConfig = z.output<typeof augmentSchema>;

export interface AugmentResult {
  readonly out: string;
  /** Rows read, after filter and limit. */
  readonly rows: number;
  /** Rows written, by what made them. */
  readonly written: Readonly<Record<string, number>>;
  /** Rewritten rows left out because there is one like it already. */
  readonly repeated: number;
  readonly synthesis?: {
    readonly requests: number;
    readonly duplicates: number;
    readonly malformed: number;
  };
}

export interface AugmentHooks {
  readonly download?: DownloadHooks;
  /** Told how many rows the model has written. */
  readonly onSynthesis?: (done: number, wanted: number) => void;
}

/**
 * Writes rows with more of them: rewritten by rules, and written by a model. All are in memory. The same configuration
 * writes the same file, but for what a model writes. Throws a FacetError, and writes nothing, for what cannot be.
 */
export async function augment(
  config: AugmentConfig,
  hooks: AugmentHooks = {},
): Promise<AugmentResult> {
  check(config);
  const rows = await readRows(config, hooks.download);
  const lines: Buffer[] = [];
  const written: Record<string, number> = {};
  const write = (value: Record<string, unknown>, by: string) => {
    lines.push(Buffer.from(`${JSON.stringify(value, plainNumbers)}\n`));
    written[by] = (written[by] ?? 0) + 1;
  };
  if (config.originals) {
    for (const row of rows) write(taggedRow(row, madeFrom(row, "original")), "original");
  }
  const rewritten = rewriteAll(rows, config);
  for (const { row, name, original } of rewritten.rows) {
    write(taggedRow(row, madeFrom(original, name)), name);
  }
  const synthesis = await synthesizeFrom(rows, config, hooks);
  for (const { fields, from } of synthesis?.rows ?? []) {
    const origin = { by: "synthesis", from, model: config.endpointModel! };
    write({ ...fields, origin }, "synthesis");
  }
  if (lines.length === 0)
    throw new FacetError("Nothing was made of the rows: no rewrite changes any of them.");
  writeFileAtomic(config.out, lines);
  return {
    ...{ out: config.out, rows: rows.length, written, repeated: rewritten.repeated },
    ...(synthesis && {
      synthesis: {
        ...{ requests: synthesis.requests, duplicates: synthesis.duplicates },
        malformed: synthesis.malformed,
      },
    }),
  };
}

function check({
  out,
  rewrites,
  synthesize,
  endpoint,
  endpointModel,
  phrase,
}: AugmentConfig): void {
  if (existsSync(out)) throw new FacetError(`${out} exists; --out needs a new file.`);
  if (rewrites.length === 0 && synthesize === undefined) {
    throw new FacetError(
      `There is nothing to do. Give --rewrites (${rewriteNames.join(", ")}), or --synthesize with --endpoint and --endpoint-model.`,
    );
  }
  if (
    (synthesize === undefined) !== (endpoint === undefined) ||
    (endpoint === undefined) !== (endpointModel === undefined)
  ) {
    throw new FacetError("--synthesize, --endpoint and --endpoint-model need one another.");
  }
  if (phrase.length > 0 && !rewrites.includes("paraphrase")) {
    throw new FacetError("--phrase is for --rewrites paraphrase.");
  }
  const bad = phrase.find((text) => !text.includes("{prompt}"));
  if (bad !== undefined) throw new FacetError(`The phrase "${bad}" has no {prompt} in it.`);
}

async function readRows(config: AugmentConfig, download?: DownloadHooks): Promise<Row[]> {
  const passes = rowFilter(config.filter);
  const all: Row[] = [];
  for (const name of dataNames(config)) {
    const set: Row[] = [];
    for await (const row of dataRows((await locateData(name, download)).flatMap(dataFiles)))
      set.push(row);
    const rename = renaming(columnNames(config.columns), set);
    all.push(...set.map(rename).filter(passes).slice(0, config.limit));
  }
  if (all.length > 0) return all;
  throw new FacetError(`No row is left: the filter ${config.filter.join(", ")} removed all.`);
}

interface Rewritten {
  readonly row: Row;
  readonly name: RewriteName;
  readonly original: Row;
}

/** Every rewrite of every row; equal ones once. */
function rewriteAll(
  rows: readonly Row[],
  config: AugmentConfig,
): { rows: Rewritten[]; repeated: number } {
  const made: Rewritten[] = [];
  if (config.rewrites.length === 0) return { rows: made, repeated: 0 };
  const slots = slotsOf(rows);
  const contentOf = ({ fields, nonText }: Row) => JSON.stringify([fields, nonText], plainNumbers);
  const known = new Set(rows.map(contentOf));
  const passages = slots.passage === undefined ? [] : passagesOf(rows, slots.passage);
  const phrases = config.phrase.length > 0 ? config.phrase : PHRASES;
  let repeated = 0;
  rows.forEach((original, index) => {
    for (const [k, name] of config.rewrites.entries()) {
      for (let copy = 0; copy < config.copies; copy++) {
        const place = (index * config.rewrites.length + k) * config.copies + copy;
        const random = createRandom({
          seed: config.seed,
          stream: "augment",
          index: place % 2 ** 32,
        });
        const context: RewriteContext = { slots, random, phrases, passages };
        const row = rewrites[name](original, context);
        if (row === undefined) continue;
        const content = contentOf(row);
        if (known.has(content)) repeated += 1;
        else {
          known.add(content);
          made.push({ row, name, original });
        }
      }
    }
  });
  return { rows: made, repeated };
}

const passagesOf = (rows: readonly Row[], field: string): string[] => [
  ...new Set(rows.flatMap((row) => row.fields[field] ?? []).filter((text) => text.trim() !== "")),
];

async function synthesizeFrom(
  rows: readonly Row[],
  config: AugmentConfig,
  { onSynthesis }: AugmentHooks,
) {
  const { synthesize: wanted, endpoint, endpointModel, apiKeyVariable, temperature, seed } = config;
  if (wanted === undefined || endpoint === undefined || endpointModel === undefined)
    return undefined;
  const names = fieldNames(rows);
  const finder = duplicateFinder();
  for (const row of rows) finder.add(textOf(row.fields, names), row);
  const apiKey = process.env[apiKeyVariable];
  const server = { url: endpoint, model: endpointModel, apiKey, temperature };
  return synthesize(rows, {
    ...{ count: wanted, seed, finder, ask: (request) => complete(server, request) },
    onProgress: (done) => onSynthesis?.(done, wanted),
  });
}

/** Parquet has whole numbers that JSON's writer does not take. */
const plainNumbers = (_: string, value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : value;
