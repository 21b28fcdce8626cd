/** Prepares blocks of JSON Lines in a thread of its own; `rowWorkers.ts` is the other side. */
import { parentPort, workerData } from "node:worker_threads";
import { FacetError } from "../errors.js";
import { tokenizerOf } from "../tokenizers/sentencePiece.js";
import { fromVocabularyBytes } from "../tokenizers/vocabularyFile.js";
import { packer } from "./exampleStore.js";
import { examplePreparer } from "./examples.js";
import { jsonLineRow } from "./jsonLines.js";
import { rowRules, type Side } from "./rowRules.js";
import type { BlockReply, BlockRequest, PreparedBlock, WorkerSetup } from "./rowWorkers.js";
import { blockLines } from "./textFile.js";

const { vocabulary, options, first } = workerData as WorkerSetup;
// The bytes come straight from `vocabularyBytes`.
const tokenizer = tokenizerOf(fromVocabularyBytes(vocabulary)!);
const rules = rowRules(options, tokenizer, first);

function prepared({ block, path }: BlockRequest): PreparedBlock {
  const stores = { train: packer(), validation: packer() };
  const preparer = (side: Side) => examplePreparer(stores[side], { ...options, tokenizer });
  const preparers = { train: preparer("train"), validation: preparer("validation") };
  const rows = { total: 0, filteredOut: 0 };
  for (const { text, line } of blockLines(block, path)) {
    if (text.trim() === "") continue;
    rows.total += 1;
    const raw = jsonLineRow(text, path, line);
    const row = rules.rename(raw);
    if (rules.passes(row)) preparers[rules.sideOf(raw)].add(row, rules.template);
    else rows.filteredOut += 1;
  }
  const side = (name: Side) => ({
    examples: stores[name].packed(),
    tally: preparers[name].tally,
  });
  return { rows, train: side("train"), validation: side("validation") };
}

parentPort!.on("message", (request: BlockRequest) => {
  try {
    const reply = prepared(request);
    parentPort!.postMessage(reply, [
      reply.train.examples.words.buffer as ArrayBuffer,
      reply.validation.examples.words.buffer as ArrayBuffer,
    ]);
  } catch (error) {
    const { message, stack } = error as Error;
    const reply: BlockReply = {
      error: error instanceof FacetError ? message : (stack ?? message),
      isFacetError: error instanceof FacetError,
    };
    parentPort!.postMessage(reply);
  }
});
