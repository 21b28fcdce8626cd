import { createHash } from "node:crypto";
import { FacetError } from "../errors.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { chooseRowTemplate } from "./chooseRowTemplate.js";
import { columnNames, renaming } from "./columns.js";
import { dataFiles, dataRows } from "./dataFiles.js";
import { fileDigest } from "./digest.js";
import { exampleStore, type Spill } from "./exampleStore.js";
import { type ExamplePreparer, examplePreparer, type Overlong, type Prepared } from "./examples.js";
import { allFilteredOut, rowFilter } from "./filters.js";
import type { Row } from "./rows.js";
import type { RowTemplate, Targets } from "./rowTemplate.js";
import { isForValidation, requireBothSides } from "./split.js";

export interface DatasetOptions {
  /** Data sets, in order: each is files, and folders of such (see `dataRows`). */
  readonly sets: readonly (readonly string[])[];
  readonly tokenizer: Tokenizer;
  readonly sequenceLength: number;
  /** Names of filters; see `rowFilter`. */
  readonly filters?: readonly string[];
  /** Use only the first rows of each data set that pass the filters. */
  readonly limit?: number;
  /** Names for columns, such as `prompt=question`; see `columnNames`. */
  readonly columns?: readonly string[];
  /** A built-in template's name or a custom one; see `chooseRowTemplate`. Without one each data set gets its own. */
  readonly template?: string;
  /** The Jinja source of how the model reads conversations. */
  readonly chatTemplate?: string | undefined;
  readonly targets?: Targets;
  /** Rows are pairs of a chosen and a rejected answer: `rejected` of what is prepared holds the latter. */
  readonly preferences?: boolean;
  readonly overlong?: Overlong;
  /** Share of the rows kept for validation, in [0, 1); default 0. */
  readonly validationSplit?: number;
  /** Where examples go that are too many for memory. */
  readonly spill: Spill;
  /** Told of every row of the files, also of those that the filters or the limit leave out. */
  readonly onRow?: (row: Row, fate: RowFate) => void;
}

export interface RowFate {
  readonly passes: boolean;
  readonly used: boolean;
  readonly forValidation: boolean;
}

export interface Dataset {
  /** What was read, for messages. */
  readonly path: string;
  /** Of one file all its bytes, of several their digests in order; in hexadecimal. */
  readonly sha256: string;
  /** How the rows of the first data set become text; also how prompts do. */
  readonly template: RowTemplate;
  readonly train: Prepared;
  /** Undefined without a validation split. */
  readonly validation: Prepared | undefined;
  /** Examples for training of each data set; they lie one set after the other. */
  readonly counts: readonly number[];
}

/** So many rows are looked at to choose a template; they are in memory together. */
const LOOK_AHEAD = 1000;

/**
 * Reads data sets as streams: filters, limits, splits and encodes row by row. Memory holds what rows become, not their
 * text. Throws the FacetErrors of those steps.
 */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { limit, validationSplit = 0, spill } = options;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new FacetError(`The limit of rows must be a whole number from 1; it is ${limit}.`);
  }
  const sides = { train: emptySide(spill, options), validation: emptySide(spill, options) };
  const seen = { train: 0, validation: 0 };
  const counts: number[] = [];
  const templates: RowTemplate[] = [];
  const files = options.sets.map((paths) => paths.flatMap(dataFiles));
  for (const set of files) {
    const before = sides.train.examples.length;
    const template = await readSet(set, options, (row, side, template) => {
      seen[side] += 1;
      sides[side].preparer.add(row, template);
    });
    templates.push(template);
    counts.push(sides.train.examples.length - before);
  }
  requireBothSides(validationSplit, seen);
  return {
    path: options.sets.flat().join(", "),
    sha256: await filesDigest(files.flat()),
    template: templates[0]!,
    train: prepared(sides.train),
    validation: seen.validation > 0 ? prepared(sides.validation) : undefined,
    counts,
  };
}

/** Reads one data set, and gives `add` the rows that are used; the result is how they become text. */
async function readSet(
  files: readonly string[],
  options: DatasetOptions,
  add: (row: Row, side: "train" | "validation", template: RowTemplate) => void,
): Promise<RowTemplate> {
  const { filters = [], limit = Number.POSITIVE_INFINITY, onRow } = options;
  const passes = rowFilter(filters);
  const isHeldOut = isForValidation(options.validationSplit ?? 0);
  const rows = dataRows(files);
  const first: Row[] = [];
  while (first.length < LOOK_AHEAD) {
    const next = await rows.next();
    if (next.done) break;
    first.push(next.value);
  }
  const rename = renaming(columnNames(options.columns ?? []), first);
  const template = chooseRowTemplate(options.template, first.map(rename), options);
  let [count, used] = [0, 0];
  const take = (raw: Row) => {
    count += 1;
    const row = rename(raw);
    const ok = passes(row);
    const use = ok && used < limit;
    // By the file's own names: another choice of columns moves no row.
    const forValidation = use && isHeldOut(raw);
    onRow?.(raw, { passes: ok, used: use, forValidation });
    if (!use) return;
    used += 1;
    add(row, forValidation ? "validation" : "train", template);
  };
  const done = () => used === limit && onRow === undefined;
  for (const row of first) if (!done()) take(row);
  if (!done()) {
    for await (const row of rows) {
      take(row);
      if (done()) break;
    }
  }
  if (used === 0) throw allFilteredOut(filters, count);
  return template;
}

interface Side {
  readonly examples: ReturnType<typeof exampleStore>;
  readonly rejected: ReturnType<typeof exampleStore> | undefined;
  readonly preparer: ExamplePreparer;
}

function emptySide(spill: Spill, options: DatasetOptions): Side {
  const examples = exampleStore(spill);
  const rejected = options.preferences ? exampleStore(spill) : undefined;
  return { examples, rejected, preparer: examplePreparer(examples, options, rejected) };
}

const prepared = ({ examples, rejected, preparer }: Side): Prepared => ({
  examples,
  ...(rejected && { rejected }),
  report: preparer.report(),
});

async function filesDigest(files: readonly string[]): Promise<string> {
  if (files.length === 1) return fileDigest(files[0]!);
  const hash = createHash("sha256");
  for (const file of files) hash.update(await fileDigest(file));
  return hash.digest("hex");
}
