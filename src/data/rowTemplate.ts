import type { Segment } from "../tokenizers/segments.js";
import type { Row } from "./rows.js";

/**
 * Which tokens count in the loss: all of them, those of the completion (of a conversation: of the last turn of the model),
 * or those of every turn of the model. The end token counts in all.
 */
export const targetChoices = ["all", "completion", "assistant"] as const;
export type Targets = (typeof targetChoices)[number];

/** Why a row has no segments. */
export type Unrendered =
  | "missing field"
  | "empty response"
  | "no turn of the model"
  | "equal answers"
  | "refused by the template";

/** How a row becomes text. */
export interface RowTemplate {
  /** A built-in's name, the name of a file, or the custom source itself. */
  readonly name: string;
  /** What the template says: two templates with equal sources give the same segments. */
  readonly source: string;
  /** The fields that it uses, without repeats. */
  readonly fields: readonly string[];
  /**
   * The segments of a row, or why it has none. Throws a FacetError with file and line for a field that holds
   * something else than the template needs.
   */
  segments(row: Row, targets: Targets): Segment[] | Unrendered;
  /** The segments that a model is given to answer an instruction. */
  promptFor(instruction: string): Segment[];
}
