// Runs llama.cpp for the tests in a process of its own, which may crash alone. Takes a request as JSON on stdin and
// answers with JSON on stdout; the types of both are in ../llama.ts.
import { text } from "node:stream/consumers";
import { getLlama } from "node-llama-cpp";

const request = JSON.parse(await text(process.stdin));

const llama = await getLlama({
  gpu: false,
  build: "never",
  logger: (_level, message) => process.stderr.write(`${message}\n`),
});
const model = await llama.loadModel({ modelPath: request.model });

const texts = request.texts.map((plain) => model.tokenize(plain, request.controlTokens));
const sequences = [];
for (const prompt of request.prompts) sequences.push(await continueGreedily(prompt));
process.stdout.write(JSON.stringify({ texts, sequences }), () => process.exit(0));

async function continueGreedily(prompt) {
  const context = await model.createContext({
    contextSize: prompt.length + request.newTokens,
    // Flash attention, and the cache by default, round keys and values to half precision.
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
    // More threads wait for each other in a loop, which takes longer where other processes run.
    threads: 1,
    ...(request.adapter && {
      lora: { adapters: [{ filePath: request.adapter.path, scale: request.adapter.scale }] },
    }),
  });
  const sequence = context.getSequence();
  const generateNext = { token: true, probabilities: true, options: { temperature: 0 } };
  const tokens = [];
  const logProbabilities = [];
  let input = prompt;
  while (tokens.length < request.newTokens) {
    const results = await sequence.controlledEvaluate(input.map((id) => [id, { generateNext }]));
    for (const { next } of results) logProbabilities.push(logarithms(next.probabilities));
    tokens.push(results.at(-1).next.token);
    input = tokens.slice(-1);
  }
  await context.dispose();
  return { tokens, logProbabilities };
}

/** By token id; the map is sorted by probability. */
function logarithms(probabilities) {
  const values = new Array(probabilities.size).fill(null);
  for (const [id, probability] of probabilities) values[id] = Math.log(probability);
  return values;
}
