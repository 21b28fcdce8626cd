import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface ChatBody {
  readonly model: string;
  readonly temperature: number;
  readonly seed: number;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** What the server is to answer: the model's text, or a status with a body. */
export type ChatAnswer = string | { readonly status: number; readonly body: string };

/** A server that speaks OpenAI's chat completions, and answers as it is told. */
export async function chatServer(answer: (body: ChatBody, request: number) => ChatAnswer) {
  const asked: { path: string; authorization: string | undefined; body: ChatBody }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as ChatBody;
      const { authorization } = request.headers;
      asked.push({ path: `${request.method} ${request.url}`, authorization, body });
      const said = answer(body, asked.length - 1);
      const { status, body: text } =
        typeof said === "string"
          ? {
              status: 200,
              body: JSON.stringify({
                choices: [{ message: { role: "assistant", content: said } }],
              }),
            }
          : said;
      response.writeHead(status, { "content-type": "application/json" }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    asked,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
