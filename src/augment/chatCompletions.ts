import { z } from "zod";
import { FacetError } from "../errors.js";

/** A server that speaks OpenAI's chat completions: OpenAI's own, llama.cpp's, vLLM's, Ollama's and others. */
export interface ChatEndpoint {
  /** Up to and without /chat/completions, for example http://localhost:11434/v1. */
  readonly url: string;
  readonly model: string;
  readonly apiKey?: string | undefined;
  readonly temperature: number;
  /** Milliseconds until an answer has to be whole. */
  readonly timeoutMs?: number;
  /** How many times to ask a server that fails; default 5. */
  readonly tries?: number;
  /** Milliseconds before the second try, doubled each time; default 500. */
  readonly pauseMs?: number;
}

export interface ChatRequest {
  readonly system: string;
  readonly user: string;
  /** Where the server can, it gives the same answer for the same seed. */
  readonly seed: number;
}

const answerSchema = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1),
});

/** An answer has at most so many bytes. */
const LARGEST_ANSWER = 2 ** 24;

/**
 * The text that the model answers. Asks again after 408, 429, 5xx and lost connections. Throws a FacetError that says
 * what the server said, for a server that keeps failing, and for an answer that is none.
 */
export async function complete(endpoint: ChatEndpoint, request: ChatRequest): Promise<string> {
  const { tries = 5, pauseMs = 500 } = endpoint;
  const url = completionsUrl(endpoint.url);
  for (let failures = 1; ; failures++) {
    const { text, problem, again } = await askOnce(url, endpoint, request);
    if (text !== undefined) return text;
    if (!again || failures >= tries) throw new FacetError(`${url} ${problem}.`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs * 2 ** (failures - 1)));
  }
}

function completionsUrl(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new FacetError(
      `"${url}" is no address of a server. Give one such as http://localhost:11434/v1.`,
    );
  }
  return `${url.replace(/\/+$/, "")}/chat/completions`;
}

interface Outcome {
  readonly text?: string;
  readonly problem?: string;
  readonly again?: boolean;
}

async function askOnce(
  url: string,
  { model, apiKey, temperature, timeoutMs = 300_000 }: ChatEndpoint,
  { system, user, seed }: ChatRequest,
): Promise<Outcome> {
  const messages = [
    { role: "system", content: system },
    { role: "user", content: user },
  ];
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({ model, messages, temperature, seed }),
      signal: AbortSignal.timeout(timeoutMs),
      // A key must not go along to another host.
      redirect: "error",
    });
    const text = await boundedText(response);
    if (response.ok) return answerOf(text);
    const again = [408, 429].includes(response.status) || response.status >= 500;
    return { problem: `answers ${response.status}: ${errorIn(text)}`, again };
  } catch (cause) {
    const { message, cause: inner } = cause as Error;
    const reason = inner instanceof Error ? inner.message || message : message;
    return { problem: `cannot be reached (${reason})`, again: true };
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > LARGEST_ANSWER)
      throw new Error(`its answer is longer than ${LARGEST_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function answerOf(text: string): Outcome {
  const parsed = answerSchema.safeParse(jsonOf(text));
  if (parsed.success) return { text: parsed.data.choices[0]!.message.content };
  return { problem: "does not answer as OpenAI's chat completions do", again: false };
}

/** What a server says about an error, as OpenAI's does or in its own words. */
function errorIn(text: string): string {
  const { error } = (jsonOf(text) ?? {}) as { error?: { message?: unknown } | string };
  const message = typeof error === "string" ? error : error?.message;
  return (typeof message === "string" ? message : text).replace(/\s+/g, " ").trim().slice(0, 300);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
