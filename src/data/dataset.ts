import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { FacetError } from "../errors.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { dataFiles, dataRows } from "./dataFiles.js";
import { fileDigest } from "./digest.js";
import { type ExampleStore, exampleStore } from "./exampleStore.js";
import { examplePreparer } from "./examples.js";
import { allFilteredOut } from "./filters.js";
import { requirePairs } from "./preferences.js";
import { preparedCache } from "./preparedCache.js";
import type { FreshData, PreparedData } from "./preparedFile.js";
import { emptyTally, prepareReport, type Tally } from "./prepareReport.js";
import { type RowOptions, type RowRules, rowRules, type Side } from "./rowRules.js";
import type { Row } from "./rows.js";
import type { RowTemplate } from "./rowTemplate.js";
import { canUseWorkers, prepareInWorkers, type RowCounts } from "./rowWorkers.js";
import { requireBothSides } from "./split.js";
import type { Spill } from "./wordStore.js";

export interface DatasetOptions extends RowOptions {
  /** Data sets, in order: each is files, and folders of such (see `dataRows`). */
  readonly sets: readonly (readonly string[])[];
  readonly tokenizer: Tokenizer;
  /** Rows are pairs of a chosen and a rejected answer: `rejected` of what is prepared holds the latter. */
  readonly preferences?: boolean;
  /** Use only the first rows of each data set that pass the filters. */
  readonly limit?: number;
  /** Count the rows after the limit too. */
  readonly countAll?: boolean;
  /** Where examples go that are too many for memory. */
  readonly spill: Spill;
  /** A folder where what was prepared of large files is kept for the next time. */
  readonly cache?: string;
}

export interface Dataset extends PreparedData {
  /** What was read, for messages. */
  readonly path: string;
  readonly files: readonly string[];
  /** Of one file all its bytes, of several their digests in order; in hexadecimal. */
  readonly sha256: string;
  /** How the rows of the first data set become text; also how prompts do. */
  readonly template: RowTemplate;
}

/** So many rows are looked at to choose a template; they are in memory together. */
const LOOK_AHEAD = 1000;
/** Smaller data are prepared in the time that threads take to start, or kept data to be checked. */
const LARGE = 2 ** 22;

/**
 * Reads data sets as streams: filters, limits, splits and encodes row by row. Memory holds what rows become, not their
 * text. Large files of JSON Lines are read by several threads, with the same result; and what was kept in `cache` of
 * the same files, options and tokenizer is taken instead. Throws the FacetErrors of those steps.
 */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { tokenizer, limit, spill } = options;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new FacetError(`The limit of rows must be a whole number from 1; it is ${limit}.`);
  }
  const sets: OpenSet[] = [];
  for (const paths of options.sets) sets.push(await openSet(paths.flatMap(dataFiles), options));
  const files = sets.flatMap((set) => set.files);
  const { template } = sets[0]!.rules;
  const about = { path: options.sets.flat().join(", "), files, template };

  // With a limit there are few rows; and only one thread prepares pairs.
  const plain = limit === undefined && !options.preferences;
  const large = plain && bytesOf(files) >= LARGE;
  const vocabulary = large ? tokenizer.vocabulary?.() : undefined;
  if (vocabulary === undefined) {
    const fresh = await prepared(sets, options);
    return { ...about, ...fresh, sha256: await filesDigest(files) };
  }
  const sha256 = await filesDigest(files);
  const templates = sets.map((set) => set.rules.template);
  const identity = { files, sha256, options: rowOptions(options), templates, vocabulary };
  const cache = options.cache === undefined ? undefined : preparedCache(options.cache);
  const kept = cache?.read(identity, spill.bytes);
  if (kept !== undefined) {
    for (const set of sets) await set.rest.return(undefined);
    return { ...about, ...kept, sha256 };
  }
  const fresh = await prepared(sets, options, vocabulary);
  cache?.write(identity, fresh);
  return { ...about, ...fresh, sha256 };
}

/** A data set of which the first rows have been read. */
export interface OpenSet {
  readonly files: readonly string[];
  readonly first: readonly Row[];
  readonly rest: AsyncGenerator<Row>;
  readonly rules: RowRules;
}

/** Opens a data set. Throws a FacetError for options that cannot be. */
export async function openSet(files: readonly string[], options: DatasetOptions): Promise<OpenSet> {
  const rest = dataRows(files);
  const first: Row[] = [];
  while (first.length < LOOK_AHEAD) {
    const next = await rest.next();
    if (next.done) break;
    first.push(next.value);
  }
  const rules = rowRules(options, options.tokenizer, first);
  if (options.preferences) requirePairs(rules.template, files);
  return { files, first, rest, rules };
}

type Sides = Readonly<
  Record<
    Side,
    {
      readonly examples: ExampleStore;
      readonly rejected: ExampleStore | undefined;
      readonly tally: Tally;
    }
  >
>;

/** Prepares all rows; with `vocabulary` in several threads, where that can be done. */
async function prepared(
  sets: readonly OpenSet[],
  options: DatasetOptions,
  vocabulary?: Uint8Array,
): Promise<FreshData> {
  const side = () => ({
    examples: exampleStore(options.spill),
    rejected: options.preferences ? exampleStore(options.spill) : undefined,
    tally: emptyTally(),
  });
  const into: Sides = { train: side(), validation: side() };
  const rows = { total: 0, filteredOut: 0 };
  const counts: number[] = [];
  for (const set of sets) {
    const before = into.train.examples.length;
    let read: RowCounts;
    if (vocabulary !== undefined && canUseWorkers(set.files)) {
      await set.rest.return(undefined);
      const setup = { vocabulary, options: rowOptions(options), first: set.first };
      read = await prepareInWorkers(set.files, setup, into);
    } else read = await prepareHere(set, options, into);
    if (read.total === read.filteredOut) throw allFilteredOut(options.filters ?? [], read.total);
    rows.total += read.total;
    rows.filteredOut += read.filteredOut;
    counts.push(into.train.examples.length - before);
  }
  const { train, validation } = into;
  requireBothSides(options.validationSplit ?? 0, {
    train: train.tally.rows,
    validation: validation.tally.rows,
  });
  const whole = ({ examples, rejected, tally }: Sides[Side]) => ({
    examples,
    ...(rejected && { rejected }),
    report: prepareReport(tally, examples, rejected),
  });
  return {
    ...{ rows, counts, train: whole(train) },
    validation: validation.tally.rows > 0 ? whole(validation) : undefined,
  };
}

async function prepareHere(
  { first, rest, rules }: OpenSet,
  options: DatasetOptions,
  into: Sides,
): Promise<RowCounts> {
  const { limit = Number.POSITIVE_INFINITY, countAll = false } = options;
  const preparer = (side: Side) => {
    const { examples, rejected, tally } = into[side];
    return examplePreparer(examples, options, tally, rejected);
  };
  const preparers = { train: preparer("train"), validation: preparer("validation") };
  const counts = { total: 0, filteredOut: 0 };
  let used = 0;
  const take = (raw: Row) => {
    counts.total += 1;
    const row = rules.rename(raw);
    if (!rules.passes(row)) counts.filteredOut += 1;
    else if (used < limit) {
      used += 1;
      preparers[rules.sideOf(raw)].add(row, rules.template);
    }
  };
  const done = () => used === limit && !countAll;
  for (const row of first) if (!done()) take(row);
  if (done()) await rest.return(undefined);
  else {
    for await (const row of rest) {
      take(row);
      if (done()) break;
    }
  }
  return counts;
}

/** What of the options goes to another thread. */
function rowOptions(options: DatasetOptions): RowOptions {
  const { sequenceLength, filters, columns, template, chatTemplate } = options;
  const { targets, overlong, validationSplit } = options;
  const given = { filters, columns, template, chatTemplate, targets, overlong, validationSplit };
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return { sequenceLength, ...Object.fromEntries(entries) };
}

const bytesOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + statSync(file).size, 0);

async function filesDigest(files: readonly string[]): Promise<string> {
  if (files.length === 1) return fileDigest(files[0]!);
  const hash = createHash("sha256");
  for (const file of files) hash.update(await fileDigest(file));
  return hash.digest("hex");
}
