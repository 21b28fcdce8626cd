import { pairFields } from "./pairs.js";
import type { RowFormat } from "./rowFormat.js";

const CHAT =
  "<start_of_turn>user\n{prompt}<end_of_turn>\n<start_of_turn>model\n{completion}<end_of_turn>\n";
const TUTORIAL = "Instruction:\n{prompt}\n\nResponse:\n{completion}";
const PLAIN = "{prompt}{completion}";
// https://github.com/tatsu-lab/stanford_alpaca#data-release
const ALPACA =
  "Below is an instruction that describes a task{?input}, paired with an input that provides further context{/input}. " +
  "Write a response that appropriately completes the request.\n\n" +
  "### Instruction:\n{instruction}\n\n{?input}### Input:\n{input}\n\n{/input}### Response:\n{output}";

/** A source for prompts and completions, in the fields of each format of rows that has the two. */
const forPairs = (source: string): Partial<Record<RowFormat, string>> =>
  Object.fromEntries(
    Object.entries(pairFields).map(([format, { prompt, input, completion }]) => {
      const below = input === undefined ? "" : `{?${input}}\n\n{${input}}{/${input}}`;
      const asked = source.replace("{prompt}", `{${prompt}}${below}`);
      return [format, asked.replace("{completion}", `{${completion}}`)];
    }),
  );

const forDolly = (source: string) =>
  source.replaceAll("input}", "context}").replace("{output}", "{response}");

/** The templates that have a name: their source for each format of rows, and whether values are stripped of white space. */
export const builtInTemplates: Readonly<
  Record<
    string,
    { readonly trim: boolean; readonly sources: Readonly<Partial<Record<RowFormat, string>>> }
  >
> = {
  // https://ai.google.dev/gemma/docs/core/lora_tuning, the Keras tutorial.
  tutorial: { trim: false, sources: forPairs(TUTORIAL) },
  "gemma-chat": { trim: true, sources: forPairs(CHAT) },
  alpaca: {
    trim: false,
    sources: { alpaca: ALPACA, dolly: forDolly(ALPACA) },
  },
  plain: { trim: false, sources: { ...forPairs(PLAIN), text: "{text}" } },
};

/** The template of rows for which none is named. */
export const defaultTemplates: Readonly<Record<RowFormat, string>> = {
  dolly: "tutorial",
  alpaca: "alpaca",
  text: "plain",
  "prompt-completion": "plain",
  preference: "plain",
  messages: "gemma-chat",
  conversations: "gemma-chat",
  "chat-preference": "gemma-chat",
};
