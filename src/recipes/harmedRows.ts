import { fileOf } from "../data/prepareReport.js";
import type { EvaluationSet } from "./evaluationSet.js";
import type { Measured } from "./measure.js";

/** Rows of which a model is less sure than another. */
export interface HarmedRows {
  readonly count: number;
  readonly of: number;
  /** Up to five, with the loss per token of both models. */
  readonly worst: readonly {
    readonly file: string;
    readonly line: number;
    readonly before: number;
    readonly after: number;
  }[];
}

/** The held-out rows whose loss rose, those first where it rose most per token. */
export function harmedRows(
  { dataset }: EvaluationSet,
  before: Measured,
  after: Measured,
): HarmedRows {
  const rows = after.rows.map(({ row, loss, tokens }, i) => ({
    row,
    before: before.rows[i]!.loss / tokens,
    after: loss / tokens,
  }));
  const harmed = rows.filter(({ before, after }) => after > before);
  harmed.sort((a, b) => b.after - b.before - (a.after - a.before));
  const worst = harmed.slice(0, 5).map(({ row, before, after }) => {
    const { examples, report } = dataset!.train;
    return { file: fileOf(report, row), line: examples.at(row)!.line, before, after };
  });
  return { count: harmed.length, of: rows.length, worst };
}
