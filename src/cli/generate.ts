import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import {
  type GeneratedText,
  generateTexts,
  streamText,
  type TextOptions,
} from "../runtime/text.js";
import { schemaCommand } from "./command.js";
import { colours, notice, noticeColours, plural, print, printable, printJson } from "./output.js";
import { samplerOf, samplingSchema } from "./sampling.js";
import { adaptersSchema, openAdaptersSession } from "./session.js";

const schema = z.strictObject({
  ...adaptersSchema.shape,
  prompt: z
    .array(z.string())
    .min(1)
    .describe("text to continue; - takes all of stdin, just as it is"),
  maxLength: z
    .int()
    .positive()
    .optional()
    .describe("longest result in tokens, prompt included (default: 256, or what the model takes)"),
  ...samplingSchema.shape,
});

export const generateCommand = (): Command =>
  schemaCommand(
    {
      name: "generate",
      description: "Continue one or more prompts",
      schema,
      notes: [
        "Prints each prompt and what the model adds to it, as Keras's generate does. Several prompts are computed together and give what each gives alone.",
        "With several adapters the prompts are answered with each in turn, and by the model alone; the model is opened once.",
        '--json prints, for one prompt, {"model", "prompt", "text" (prompt + completion), "completion", "prompt_tokens", "new_tokens", "finish" ("stop" or "length"), "tokens_per_second"}; for several, {"model", "tokens_per_second", "results": [such objects without model and speed]}; with several adapters {"adapters": [such objects with "adapter"]}.',
      ],
      examples: [
        `facet generate --model facet_nano_en --prompt "The sea is"`,
        `facet generate --model facet_nano_en --adapter runs/quickstart --sampler top_k --top-k 5 --prompt "Why?"`,
        `facet generate --model gemma_2b_en --adapter runs/french --adapter runs/polite --prompt "Hello"`,
        "printf 'Instruction:\\nWhy?\\n\\nResponse:\\n' | facet generate --model ./my-model --prompt - --json",
      ],
    },
    async ({ prompt, maxLength, ...options }, json) => {
      const sampler = samplerOf(options);
      const prompts = readPrompts(prompt);
      const { session, adapters } = await openAdaptersSession(options);
      try {
        const text = {
          maxLength: maxLength ?? Math.min(256, session.model.config.maxPositions),
          sampler,
          ...(options.seed !== undefined && { seed: options.seed }),
        };
        const answer = (): Promise<object | undefined> =>
          prompts.length === 1 && !json
            ? stream(session, prompts[0]!, text)
            : together(session, prompts, text, json);
        if (adapters.size < 2) {
          const result = await answer();
          if (json) printJson(result);
          return;
        }
        const results: object[] = [];
        for (const [name, adapter] of adapters) {
          await session.use(adapter);
          if (!json) notice(noticeColours.bold(`${name}:`));
          results.push({ adapter: name, ...(await answer()) });
        }
        if (json) printJson({ adapters: results });
      } finally {
        await session.close();
      }
    },
  );

function readPrompts(prompts: readonly string[]): string[] {
  if (prompts.filter((prompt) => prompt === "-").length > 1) {
    throw new FacetError("--prompt - reads all of stdin, so it can be given only once.");
  }
  return prompts.map((prompt) => (prompt === "-" ? readFileSync(0, "utf8") : prompt));
}

async function stream(session: Session, prompt: string, options: TextOptions): Promise<undefined> {
  const tokenizer = requireTokenizer(session.model);
  const ids = [tokenizer.bosId, ...tokenizer.encode(prompt)];
  const pieces = streamText(session, ids, options);
  // What cannot be generated is refused before anything is printed.
  let piece = await pieces.next();
  process.stdout.write(colours.dim(printable(prompt)));
  while (!piece.done) {
    process.stdout.write(printable(piece.value));
    piece = await pieces.next();
  }
  process.stdout.write("\n");
}

/** All prompts in one batch; prints the texts, or gives them as they are for --json. */
async function together(
  session: Session,
  prompts: readonly string[],
  options: TextOptions,
  json: boolean,
): Promise<object | undefined> {
  // Compiling is not part of the speed.
  await session.decoder(options.maxLength);
  const began = performance.now();
  const results = await generateTexts(session, prompts, options);
  const seconds = (performance.now() - began) / 1000;
  const newTokens = results.reduce((sum, result) => sum + result.newTokens, 0);
  const speed = newTokens / seconds;
  const model = session.model.name;
  if (json) {
    return results.length === 1
      ? { model, ...resultJson(results[0]!), tokens_per_second: speed }
      : { model, tokens_per_second: speed, results: results.map(resultJson) };
  }
  const texts = results.map((r) => colours.dim(printable(r.prompt)) + printable(r.completion));
  print(texts.join("\n\n"));
  notice(`${plural(newTokens, "new token")}, ${speed.toFixed(1)} tokens/s`);
  return undefined;
}

const resultJson = (result: GeneratedText) => ({
  prompt: result.prompt,
  text: result.prompt + result.completion,
  completion: result.completion,
  prompt_tokens: result.promptTokens,
  new_tokens: result.newTokens,
  finish: result.finish,
});
