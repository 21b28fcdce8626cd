import { FacetError } from "../errors.js";
import { generateTokens } from "../generation/generate.js";
import { greedy, type Sampler } from "../generation/samplers.js";
import { streamDecoder } from "../tokenizers/streamDecoder.js";
import type { Session } from "./session.js";
import { requireTokenizer } from "./session.js";

export interface TextOptions {
  /** Longest result in tokens, prompt and start token included. */
  readonly maxLength: number;
  readonly sampler?: Sampler;
  readonly seed?: number;
  /** Ids that end the text; default: the model's (`OpenModel.stopIds`). Empty: it goes on to maxLength. */
  readonly stopIds?: readonly number[] | undefined;
}

export interface GeneratedText {
  readonly prompt: string;
  /** What the model added; the prompt is not in it. */
  readonly completion: string;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** "stop" at an end token, "length" at maxLength. */
  readonly finish: "stop" | "length";
}

/** Continues every prompt, all in one batch. */
export async function generateTexts(
  session: Session,
  prompts: readonly string[],
  options: TextOptions,
): Promise<GeneratedText[]> {
  const tokenizer = requireTokenizer(session.model);
  const stops = options.stopIds ?? session.model.stopIds;
  const rows = prompts.map((prompt) => [tokenizer.bosId, ...tokenizer.encode(prompt)]);
  const added: number[][] = rows.map(() => []);
  for await (const ids of generateIds(session, rows, { ...options, stopIds: stops })) {
    ids.forEach((id, row) => {
      if (id !== undefined) added[row]!.push(id);
    });
  }
  return prompts.map((prompt, row) => {
    const ids = added[row]!;
    const stopped = stops.includes(ids.at(-1) ?? -1);
    return {
      prompt,
      completion: tokenizer.decode(stopped ? ids.slice(0, -1) : ids),
      promptTokens: rows[row]!.length,
      newTokens: ids.length,
      finish: stopped ? "stop" : "length",
    };
  });
}

/** Continues token ids, which may hold control tokens, and yields text as it becomes whole. */
export async function* streamText(
  session: Session,
  promptIds: readonly number[],
  options: TextOptions,
): AsyncGenerator<string> {
  const tokenizer = requireTokenizer(session.model);
  const stops = options.stopIds ?? session.model.stopIds;
  const decoder = streamDecoder(tokenizer);
  for await (const [id] of generateIds(session, [promptIds], { ...options, stopIds: stops })) {
    if (id === undefined || stops.includes(id)) break;
    const text = decoder.push(id);
    if (text !== "") yield text;
  }
  const rest = decoder.flush();
  if (rest !== "") yield rest;
}

/** Continues rows of token ids; yields, at each step, the new id of each row (see `generateTokens`). */
export async function* generateIds(
  session: Session,
  rows: readonly (readonly number[])[],
  options: TextOptions & { stopIds: readonly number[] },
): AsyncGenerator<(number | undefined)[]> {
  const { maxLength } = options;
  if (!Number.isInteger(maxLength) || maxLength < 1) {
    throw new FacetError(`The maximum length must be a whole number of tokens, not ${maxLength}.`);
  }
  const longest = Math.max(...rows.map((row) => row.length));
  if (longest > session.model.config.maxPositions) {
    throw new FacetError(
      `A prompt has ${longest} tokens; ${session.model.name} takes at most ${session.model.config.maxPositions}.`,
    );
  }
  const decoder = await session.decoder(Math.max(maxLength, longest));
  yield* generateTokens(decoder, rows, { ...options, sampler: options.sampler ?? greedy() });
}
