import { createInterface } from "node:readline";
import type { Command } from "commander";
import { z } from "zod";
import { FacetError, unknownName } from "../errors.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { streamText } from "../runtime/text.js";
import type { ChatMessage } from "../tokenizers/chatTemplate.js";
import { type ChatPrompt, chatPrompt, defaultChatTemplate } from "./chatPrompt.js";
import { schemaCommand } from "./command.js";
import { notice, noticeColours, printable, printJson } from "./output.js";
import { samplerOf, samplingSchema } from "./sampling.js";
import { type AdaptersSession, adaptersSchema, noAdapter, openAdaptersSession } from "./session.js";

const schema = z.strictObject({
  ...adaptersSchema.shape,
  template: z
    .string()
    .optional()
    .describe(
      "gemma-chat (the model's own chat template, or its family's), a .jinja file for conversations, tutorial, or text with {field} in it (default: gemma-chat for models that have one, else tutorial)",
    ),
  system: z
    .string()
    .optional()
    .describe(
      "what the model is told before the conversation (Gemma 3, or a template with a system role)",
    ),
  maxTokens: z.int().positive().default(256).describe("longest answer in tokens"),
  ...samplingSchema.shape,
});

export const chatCommand = (): Command =>
  schemaCommand(
    {
      name: "chat",
      description: "Talk to a model",
      schema,
      notes: [
        "One line is one message; messages are also read from a pipe. /reset forgets the conversation, /adapter NAME puts another of several adapters on the model, or none, /exit or Ctrl-D leaves, Ctrl-C stops an answer. With a chat template the model sees the whole conversation, with others only the last message.",
        '--json prints {"model", "messages": [{"role", "content"}]} at the end.',
      ],
      examples: [
        "facet chat --model facet_nano_en --adapter runs/quickstart",
        "facet chat --model gemma_instruct_2b_en --sampler top_p --top-p 0.9",
        "facet chat --model gemma_2b_en --adapter runs/french --adapter runs/polite",
        "facet chat --model ./my-model --json < questions.txt",
      ],
    },
    async (options, json) => {
      const sampler = samplerOf(options);
      const opened = await openAdaptersSession(options);
      const { session } = opened;
      try {
        requireTokenizer(session.model);
        const prompt = chatPrompt(
          session.model,
          options.template ?? defaultChatTemplate(session.model),
          options.system,
        );
        const answer = (ids: number[]) => {
          const { maxPositions } = session.model.config;
          const maxLength = Math.min(ids.length + options.maxTokens, maxPositions);
          if (ids.length >= maxPositions) {
            throw new FacetError(
              `The conversation has ${ids.length} tokens; ${session.model.name} takes ${maxPositions}. Type /reset to begin anew.`,
            );
          }
          return streamText(session, ids, { maxLength, sampler, seed: options.seed ?? 0 });
        };
        const messages = await converse(opened, prompt, answer, json);
        if (json) printJson({ model: session.model.name, messages });
      } finally {
        await session.close();
      }
    },
  );

/** Reads messages until the input ends; returns everything that was said. */
async function converse(
  { session, adapters }: AdaptersSession,
  prompt: ChatPrompt,
  answer: (ids: number[]) => AsyncGenerator<string>,
  json: boolean,
): Promise<ChatMessage[]> {
  const terminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    terminal,
    prompt: terminal ? "> " : "",
    ...(terminal && { output: process.stderr }),
  });
  let answering = false;
  let stopped = false;
  lines.on("SIGINT", () => {
    stopped = true;
    if (answering) return;
    notice("\n(Ctrl-D or /exit leaves)");
    lines.prompt();
  });
  if (terminal) {
    const memory = prompt.remembers ? "" : " Each message stands alone.";
    notice(
      noticeColours.dim(
        `${session.model.name}.${memory} ${commands(adapters).join(", ")}, Ctrl-C stops an answer.`,
      ),
    );
  }

  const said: ChatMessage[] = [];
  let history: ChatMessage[] = [];
  const write = (text: string) => {
    if (!json) process.stdout.write(printable(text));
  };
  lines.prompt();
  for await (const line of lines) {
    const message = line.trim();
    if (message === "/exit") break;
    if (message === "/reset") {
      history = [];
      notice("(forgotten)");
    } else if (message.startsWith("/adapter ") && adapters.size > 1) {
      notice(await putOn(session, adapters, message.slice("/adapter ".length).trim()));
    } else if (message.startsWith("/")) {
      notice(`Unknown command ${message}. Known: ${commands(adapters).join(", ")}.`);
    } else if (message !== "") {
      answering = true;
      stopped = false;
      let text = "";
      try {
        for await (const piece of answer(prompt.ids(history, message))) {
          text += piece;
          write(piece);
          if (stopped) break;
        }
        write("\n");
        const turns: ChatMessage[] = [
          { role: "user", content: message },
          { role: "model", content: text },
        ];
        said.push(...turns);
        history.push(...turns);
      } catch (error) {
        if (!(error instanceof FacetError)) throw error;
        notice(`error: ${error.message}`);
      }
      answering = false;
    }
    lines.prompt();
  }
  lines.close();
  return said;
}

const commands = (adapters: AdaptersSession["adapters"]) => [
  "/reset",
  ...(adapters.size > 1 ? [`/adapter ${[...adapters.keys()].join("|")}`] : []),
  "/exit",
];

/** Puts the adapter of that name on the model; says so, or why not. */
async function putOn(
  session: Session,
  adapters: AdaptersSession["adapters"],
  name: string,
): Promise<string> {
  const adapter = adapters.get(name);
  if (adapter === undefined) return unknownName("adapter", name, adapters.keys()).message;
  await session.use(adapter);
  return name === noAdapter ? "(the model alone)" : `(${name} is on the model)`;
}
