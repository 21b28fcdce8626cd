import { FacetError } from "../errors.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { fileDigest } from "./digest.js";
import { type Overlong, type Prepared, prepareExamples } from "./examples.js";
import { filterRows } from "./filters.js";
import { type Row, readRows } from "./rows.js";
import { splitRows } from "./split.js";
import { chooseTemplate, type Targets, type Template } from "./templates.js";

export interface DatasetOptions {
  /** A JSON Lines file. */
  readonly path: string;
  readonly tokenizer: Tokenizer;
  readonly sequenceLength: number;
  /** Names of filters; see `filterRows`. */
  readonly filters?: readonly string[];
  /** Use only the first rows that pass the filters. */
  readonly limit?: number;
  /** A built-in template's name or a custom one; see `chooseTemplate`. */
  readonly template?: string;
  readonly targets?: Targets;
  readonly overlong?: Overlong;
  /** Share of the rows kept for validation, in [0, 1); default 0. */
  readonly validationSplit?: number;
}

export interface Dataset {
  readonly path: string;
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string;
  readonly template: Template;
  /** The rows used (filtered and limited), before the split. */
  readonly rows: readonly Row[];
  readonly train: Prepared;
  /** Undefined without a validation split. */
  readonly validation: Prepared | undefined;
}

/** Reads a data file, filters, limits, splits and encodes it, in this order. Throws the FacetErrors of those steps. */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { path, tokenizer, sequenceLength, limit, targets, overlong } = options;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new FacetError(`The limit of rows must be a whole number from 1; it is ${limit}.`);
  }
  const rows = filterRows(readRows(path), options.filters ?? []).slice(0, limit);
  const template = chooseTemplate(options.template, rows);
  const sides = splitRows(rows, options.validationSplit ?? 0);
  const prepare = (side: readonly Row[]) =>
    prepareExamples(side, {
      template,
      tokenizer,
      sequenceLength,
      ...(targets !== undefined && { targets }),
      ...(overlong !== undefined && { overlong }),
    });
  return {
    path,
    sha256: await fileDigest(path),
    template,
    rows,
    train: prepare(sides.train),
    validation: sides.validation.length > 0 ? prepare(sides.validation) : undefined,
  };
}
