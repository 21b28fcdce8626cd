import { pairFields } from "../data/pairs.js";
import { isChat, type RowFormat, rowFormat } from "../data/rowFormat.js";
import type { Row } from "../data/rows.js";
import { FacetError } from "../errors.js";

/** Where a format has the instruction, and the passage that it is about. */
export interface Slots {
  /** The instruction: of a conversation the first turn of the user. Undefined where a row has none. */
  instruction(row: Row): string | undefined;
  withInstruction(row: Row, text: string): Row;
  /** The field of a passage beside the instruction, if the format has one. */
  readonly passage: string | undefined;
}

/** The slots of these rows' format. Throws a FacetError for rows of plain text, which have none. */
export function slotsOf(rows: readonly Row[]): Slots {
  const format = rowFormat(rows);
  if (isChat(format)) return chatSlots(format === "chat-preference" ? "prompt" : format);
  const pair = pairFields[format];
  if (pair === undefined) {
    throw new FacetError(
      `${rows[0]?.file}: rows of plain text have no instruction that could be rewritten. Name one by --columns prompt=…,completion=….`,
    );
  }
  const passages: Partial<Record<RowFormat, string>> = { dolly: "context", alpaca: "input" };
  return {
    ...fieldSlots(pair.prompt),
    passage: passages[format],
  };
}

const fieldSlots = (field: string): Omit<Slots, "passage"> => ({
  instruction: (row) => (Object.hasOwn(row.fields, field) ? row.fields[field] : undefined),
  withInstruction: (row, text) => ({ ...row, fields: { ...row.fields, [field]: text } }),
});

interface Turn {
  readonly role?: unknown;
  readonly from?: unknown;
  readonly content?: unknown;
  readonly value?: unknown;
}

function chatSlots(field: string): Slots {
  const firstOf = (row: Row): { turns: Turn[]; at: number } | undefined => {
    const turns = row.nonText[field];
    if (!Array.isArray(turns)) return undefined;
    const at = turns.findIndex((turn: Turn) =>
      ["user", "human"].includes(`${turn?.role ?? turn?.from}`),
    );
    return at < 0 ? undefined : { turns, at };
  };
  return {
    passage: undefined,
    instruction(row) {
      const first = firstOf(row);
      const text = first && (first.turns[first.at]!.content ?? first.turns[first.at]!.value);
      return typeof text === "string" ? text : undefined;
    },
    withInstruction(row, text) {
      const { turns, at } = firstOf(row)!;
      const key = "content" in turns[at]! ? "content" : "value";
      const changed = turns.with(at, { ...turns[at]!, [key]: text });
      return { ...row, nonText: { ...row.nonText, [field]: changed } };
    },
  };
}
