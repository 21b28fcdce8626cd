import { dataFiles } from "./dataFiles.js";
import { type DatasetOptions, openSet } from "./dataset.js";
import type { Side } from "./rowRules.js";
import type { Row } from "./rows.js";
import type { RowTemplate } from "./rowTemplate.js";

export interface ScannedRow {
  /** With its columns renamed. */
  readonly row: Row;
  readonly template: RowTemplate;
  /** Undefined for a row that the filters or the limit leave out. */
  readonly side: Side | undefined;
}

/** All rows of a data set with their text, and on which side each is used. Throws the FacetErrors of `loadDataset`. */
export async function* scannedRows(options: DatasetOptions): AsyncGenerator<ScannedRow> {
  const { sets, limit = Number.POSITIVE_INFINITY } = options;
  for (const paths of sets) {
    const { first, rest, rules } = await openSet(paths.flatMap(dataFiles), options);
    const { template } = rules;
    let used = 0;
    const scanned = (raw: Row): ScannedRow => {
      const row = rules.rename(raw);
      if (used === limit || !rules.passes(row)) return { row, template, side: undefined };
      used += 1;
      return { row, template, side: rules.sideOf(raw) };
    };
    for (const row of first) yield scanned(row);
    for await (const row of rest) yield scanned(row);
  }
}
