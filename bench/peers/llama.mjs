// llama.cpp on the processor; ../workloads/llama.ts runs it. It is installed with the tests' client, test/clients/llama.
import { readFileSync } from "node:fs";

const folder = new URL("../../test/clients/llama/node_modules/node-llama-cpp/", import.meta.url);
export const { version } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
const { getLlama } = await import(new URL("dist/index.js", folder).href);

/** Gives a function that reads a prompt and adds tokens to it, and says how many milliseconds each took. */
export async function openLlama({ gguf, threads, prompt, newTokens }) {
  const llama = await getLlama({ gpu: false, build: "never", logger: () => {} });
  const model = await llama.loadModel({ modelPath: gguf });
  const context = await model.createContext({
    contextSize: prompt.length + newTokens,
    batchSize: prompt.length,
    threads: { ideal: threads, min: threads },
  });
  const sequence = context.getSequence();
  const generateNext = { token: true, options: { temperature: 0 } };
  return async () => {
    await sequence.clearHistory();
    const times = [];
    let input = prompt;
    for (let i = 0; i < newTokens; i++) {
      const began = performance.now();
      const last = input.length - 1;
      const results = await sequence.controlledEvaluate(
        input.map((id, at) => (at === last ? [id, { generateNext }] : id)),
      );
      times.push(performance.now() - began);
      input = [results[last].next.token];
    }
    return times;
  };
}
