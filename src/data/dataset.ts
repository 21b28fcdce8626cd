import { createHash } from "node:crypto";
import { FacetError } from "../errors.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { chooseRowTemplate } from "./chooseRowTemplate.js";
import { type Columns, renamedColumns } from "./columns.js";
import { dataFiles, dataRows } from "./dataFiles.js";
import { fileDigest } from "./digest.js";
import { exampleStore, type Spill } from "./exampleStore.js";
import { examplePreparer, type Overlong, type Prepared, type PrepareOptions } from "./examples.js";
import { allFilteredOut, rowFilter } from "./filters.js";
import type { Row } from "./rows.js";
import type { RowTemplate, Targets } from "./rowTemplate.js";
import { isForValidation, requireBothSides } from "./split.js";

export interface DatasetOptions {
  /** Data files, and folders of such (see `dataRows`), in order. */
  readonly paths: readonly string[];
  readonly tokenizer: Tokenizer;
  readonly sequenceLength: number;
  /** Names of filters; see `rowFilter`. */
  readonly filters?: readonly string[];
  /** Use only the first rows that pass the filters. */
  readonly limit?: number;
  /** Names for columns, such as `prompt=question`; see `renamedColumns`. */
  readonly columns?: readonly string[];
  /** A built-in template's name or a custom one; see `chooseRowTemplate`. */
  readonly template?: string;
  /** The Jinja source of how the model reads conversations. */
  readonly chatTemplate?: string | undefined;
  readonly targets?: Targets;
  readonly overlong?: Overlong;
  /** Share of the rows kept for validation, in [0, 1); default 0. */
  readonly validationSplit?: number;
  /** Where examples go that are too many for memory. */
  readonly spill: Spill;
  /** Told of every row of the files, also of those that the filters or the limit leave out. */
  readonly onRow?: (row: Row, fate: { readonly passes: boolean; readonly used: boolean }) => void;
}

export interface Dataset {
  /** What was read, for messages. */
  readonly path: string;
  /** Of one file all its bytes, of several their digests in order; in hexadecimal. */
  readonly sha256: string;
  readonly template: RowTemplate;
  readonly train: Prepared;
  /** Undefined without a validation split. */
  readonly validation: Prepared | undefined;
}

/** So many rows are looked at to choose a template; they are in memory together. */
const LOOK_AHEAD = 1000;

/**
 * Reads data files as a stream: filters, limits, splits and encodes row by row. Memory holds what rows become, not their
 * text. Throws the FacetErrors of those steps.
 */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { tokenizer, sequenceLength, limit, targets, overlong, validationSplit = 0 } = options;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new FacetError(`The limit of rows must be a whole number from 1; it is ${limit}.`);
  }
  const files = options.paths.flatMap(dataFiles);
  const forValidation = isForValidation(validationSplit);
  const counts = { train: 0, validation: 0 };
  let sides: { template: RowTemplate; train: Side; validation: Side } | undefined;
  const columns = renamedColumns(options.columns ?? []);
  const prepare = (row: Row) => {
    // By the file's own names: another choice of columns moves no row.
    const name = forValidation(row) ? "validation" : "train";
    counts[name] += 1;
    sides![name].preparer.add(columns.rename(row));
  };
  let ahead: Row[] = [];
  const look = () => {
    columns.requireIn(ahead);
    const template = chooseRowTemplate(options.template, ahead.map(columns.rename), options);
    const side = () =>
      emptySide(options.spill, {
        ...{ template, tokenizer, sequenceLength },
        ...(targets !== undefined && { targets }),
        ...(overlong !== undefined && { overlong }),
      });
    sides = { template, train: side(), validation: side() };
    ahead.forEach(prepare);
    ahead = [];
  };
  for await (const row of usedRows(files, columns, options)) {
    if (sides !== undefined) prepare(row);
    else if (ahead.push(row) === LOOK_AHEAD) look();
  }
  if (sides === undefined) look();
  requireBothSides(validationSplit, counts);
  const { template, train, validation } = sides!;
  return {
    path: options.paths.join(", "),
    sha256: await filesDigest(files),
    template,
    train: prepared(train),
    validation: counts.validation > 0 ? prepared(validation) : undefined,
  };
}

async function* usedRows(
  files: readonly string[],
  columns: Columns,
  { filters = [], limit = Number.POSITIVE_INFINITY, onRow }: DatasetOptions,
): AsyncGenerator<Row> {
  const passes = rowFilter(filters);
  let [count, used] = [0, 0];
  for await (const row of dataRows(files)) {
    count += 1;
    if (used === limit && onRow === undefined) return;
    const fate = { passes: passes(columns.rename(row)), used: false };
    if (fate.passes && used < limit) {
      fate.used = true;
      used += 1;
    }
    onRow?.(row, fate);
    if (fate.used) yield row;
  }
  if (used === 0) throw allFilteredOut(filters, count);
}

interface Side {
  readonly examples: ReturnType<typeof exampleStore>;
  readonly preparer: ReturnType<typeof examplePreparer>;
}

function emptySide(spill: Spill, options: PrepareOptions): Side {
  const examples = exampleStore(spill);
  return { examples, preparer: examplePreparer(examples, options) };
}

const prepared = ({ examples, preparer }: Side): Prepared => ({
  examples,
  report: preparer.report(),
});

async function filesDigest(files: readonly string[]): Promise<string> {
  if (files.length === 1) return fileDigest(files[0]!);
  const hash = createHash("sha256");
  for (const file of files) hash.update(await fileDigest(file));
  return hash.digest("hex");
}
