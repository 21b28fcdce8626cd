import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { chooseRowTemplate } from "./chooseRowTemplate.js";
import { columnNames, renaming } from "./columns.js";
import type { Overlong } from "./examples.js";
import { rowFilter } from "./filters.js";
import type { Row } from "./rows.js";
import type { RowTemplate, Targets } from "./rowTemplate.js";
import { isForValidation } from "./split.js";

/** What decides what rows become, besides the tokenizer: plain data, which can go to another thread. */
export interface RowOptions {
  readonly sequenceLength: number;
  /** Names of filters; see `rowFilter`. */
  readonly filters?: readonly string[];
  /** Names for columns, such as `prompt=question`; see `columnNames`. */
  readonly columns?: readonly string[];
  /** A built-in template's name or a custom one; see `chooseRowTemplate`. Without one each data set gets its own. */
  readonly template?: string;
  /** The Jinja source of how the model reads conversations. */
  readonly chatTemplate?: string | undefined;
  readonly targets?: Targets;
  readonly overlong?: Overlong;
  /** Share of the rows kept for validation, in [0, 1); default 0. */
  readonly validationSplit?: number;
}

export const sides = ["train", "validation"] as const;
export type Side = (typeof sides)[number];

/** What is done with the rows of one data set. */
export interface RowRules {
  readonly template: RowTemplate;
  /** The row with its columns renamed. */
  rename(row: Row): Row;
  /** Whether the filters let a renamed row pass. */
  passes(row: Row): boolean;
  /** The side of a row. By the file's own names: another choice of columns moves no row. */
  sideOf(row: Row): Side;
}

/** The rules for a data set of which `first` are the first rows. Throws a FacetError for options that cannot be. */
export function rowRules(
  options: RowOptions,
  tokenizer: Tokenizer,
  first: readonly Row[],
): RowRules {
  const { chatTemplate } = options;
  const rename = renaming(columnNames(options.columns ?? []), first);
  const passes = rowFilter(options.filters ?? []);
  const forValidation = isForValidation(options.validationSplit ?? 0);
  const context = { tokenizer, chatTemplate };
  return {
    template: chooseRowTemplate(options.template, first.map(rename), context),
    rename,
    passes,
    sideOf: (row) => (forValidation(row) ? "validation" : "train"),
  };
}
