import { afterEach, describe, expect, it } from "vitest";
import { type ChatEndpoint, complete } from "../../src/augment/chatCompletions.js";
import { synthesize } from "../../src/augment/synthesis.js";
import { duplicateFinder } from "../../src/data/duplicates.js";
import { rowOf } from "../data/rowOf.js";
import { type ChatAnswer, type ChatBody, chatServer } from "../support/chatServer.js";

let server: Awaited<ReturnType<typeof chatServer>>;
afterEach(() => server?.close());
const endpoint = async (
  answer: (body: ChatBody, request: number) => ChatAnswer,
  options: Partial<ChatEndpoint> = {},
): Promise<ChatEndpoint> => {
  server = await chatServer(answer);
  return { url: server.url, model: "m", temperature: 0.7, pauseMs: 1, ...options };
};
const request = { system: "S", user: "U", seed: 5 };

describe("a chat endpoint", () => {
  it("is asked as OpenAI's is, with the key", async () => {
    const asked = await endpoint(() => "answer", { apiKey: "secret" });
    expect(await complete({ ...asked, url: `${asked.url}/` }, request)).toBe("answer");
    expect(server.asked).toEqual([
      {
        path: "POST /v1/chat/completions",
        authorization: "Bearer secret",
        body: {
          ...{ model: "m", temperature: 0.7, seed: 5 },
          messages: [
            { role: "system", content: "S" },
            { role: "user", content: "U" },
          ],
        },
      },
    ]);
  });

  it("is asked again when it is busy or broken, and not when it refuses", async () => {
    const busy = (i: number) => ({ status: i === 0 ? 429 : 503, body: "{}" });
    expect(await complete(await endpoint((_, i) => (i < 2 ? busy(i) : "ok")), request)).toBe("ok");
    await server.close();
    const refuses = await endpoint(() => ({
      status: 401,
      body: '{"error":{"message":"no such key"}}',
    }));
    await expect(complete(refuses, request)).rejects.toThrow(
      /completions answers 401: no such key\.$/,
    );
    expect(server.asked).toHaveLength(1);
  });

  it("is given up after some tries, with what it said", async () => {
    const broken = await endpoint(() => ({ status: 500, body: "out of\nmemory" }), { tries: 3 });
    await expect(complete(broken, request)).rejects.toThrow(/answers 500: out of memory/);
    expect(server.asked).toHaveLength(3);
  });

  it("must be there, and answer as it should", async () => {
    const odd = await endpoint(() => ({ status: 200, body: '{"text":"x"}' }));
    await expect(complete(odd, request)).rejects.toThrow(/does not answer as OpenAI's chat/);
    await server.close();
    await expect(complete({ ...odd, tries: 2 }, request)).rejects.toThrow(/cannot be reached/);
    await expect(complete({ ...odd, url: "localhost" }, request)).rejects.toThrow(
      /no address of a server/,
    );
  });
});

const rows = Array.from({ length: 12 }, (_, i) =>
  rowOf(
    { instruction: `Name the ${i}th of many rivers.`, context: "", response: `River ${i}` },
    i + 1,
  ),
);
const finderFor = () => {
  const finder = duplicateFinder();
  for (const row of rows) finder.add(`${row.fields.instruction}\n${row.fields.response}`, row);
  return finder;
};
const made = (n: number) => ({
  instruction: `Which mountain has number ${n}?`,
  response: `Mountain ${n}`,
});
const run = (answer: (request: { user: string; seed: number }, i: number) => string, count = 6) => {
  let asked = 0;
  return synthesize(rows, {
    ...{ count, seed: 3, finder: finderFor() },
    ask: async (request) => answer(request, asked++),
  });
};

describe("synthesize", () => {
  it("shows the model examples, and takes what it writes until there is enough", async () => {
    const users: string[] = [];
    const { rows: written, ...rest } = await run(({ user }, i) => {
      users.push(user);
      return JSON.stringify(Array.from({ length: 5 }, (_, k) => made(5 * i + k)));
    });
    expect(rest).toEqual({ requests: 2, duplicates: 0, malformed: 0 });
    expect(written.map(({ fields }) => fields)).toEqual([0, 1, 2, 3, 4, 5].map(made));
    expect(users[0]).toMatch(
      /^Examples:\n\[\n\{"instruction":"Name the \d+th of many rivers\.","response":"River \d+"\},\n/,
    );
    expect(users[0]).not.toBe(users[1]);
    for (const { file, line } of written[0]!.from) {
      expect(file).toBe("rows.jsonl");
      expect(users[0]).toContain(`"River ${line - 1}"`);
    }
  });

  it("reads lists in code blocks, between words, and an object per line", async () => {
    const forms = (i: number) =>
      [
        `Here you are:\n\`\`\`json\n${JSON.stringify([made(0), made(1)], null, 2)}\n\`\`\`\nEnjoy!`,
        `${JSON.stringify(made(2))},\n${JSON.stringify(made(3))}`,
      ][i]!;
    const { rows: written } = await run((_, i) => forms(i), 4);
    expect(written.map(({ fields }) => fields)).toEqual([0, 1, 2, 3].map(made));
  });

  it("leaves out copies, near copies, and what has not the right fields", async () => {
    const answers = [
      "I cannot do that.",
      JSON.stringify([rows[0]!.fields, made(1), made(1), { ...made(1), response: "MOUNTAIN  1" }]),
      JSON.stringify([
        { instruction: "x" },
        { instruction: " ", response: "y" },
        { ...made(2), response: 5 },
        "z",
        made(3),
      ]),
    ];
    const { rows: written, ...rest } = await run((_, i) => answers[i]!, 2);
    expect(written.map(({ fields }) => fields)).toEqual([made(1), made(3)]);
    expect(rest).toEqual({ requests: 3, duplicates: 3, malformed: 5 });
  });

  it("gives up on a model that brings nothing new", async () => {
    await expect(run(() => JSON.stringify([made(1)]))).rejects.toThrow(
      /no new row in 8 requests \(0 malformed, 8 like others so far\)/,
    );
  });

  it("is for prompts with completions", async () => {
    const texts = [rowOf({ text: "t" })];
    const options = { count: 1, seed: 0, finder: duplicateFinder(), ask: async () => "" };
    await expect(synthesize(texts, options)).rejects.toThrow(/these are text rows/);
  });
});
