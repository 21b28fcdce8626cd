import type { RowFormat } from "./rowFormat.js";
import { type Row, textField } from "./rows.js";

/** Where a format has what is asked, what it is asked about, and the answer. */
export interface PairFields {
  readonly prompt: string;
  readonly input?: string;
  readonly completion: string;
}

/** The formats whose rows are a prompt and a completion. Of a preference the completion is the chosen answer. */
export const pairFields: Readonly<Partial<Record<RowFormat, PairFields>>> = {
  dolly: { prompt: "instruction", completion: "response" },
  alpaca: { prompt: "instruction", input: "input", completion: "output" },
  "prompt-completion": { prompt: "prompt", completion: "completion" },
  preference: { prompt: "prompt", completion: "chosen" },
};

/** The prompt, with its input below, and the completion of a row; undefined where one is missing. */
export function pairOf(
  row: Row,
  fields: PairFields,
): { readonly prompt: string; readonly completion: string } | undefined {
  const prompt = textField(row, fields.prompt);
  const completion = textField(row, fields.completion);
  if (prompt === undefined || completion === undefined) return undefined;
  const input = fields.input === undefined ? "" : (textField(row, fields.input) ?? "");
  return { prompt: input.trim() === "" ? prompt : `${prompt}\n\n${input}`, completion };
}
