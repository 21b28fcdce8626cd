import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { FacetError } from "../errors.js";
import type { ExampleStore, PackedExamples } from "./exampleStore.js";
import { addTally, type Tally } from "./prepareReport.js";
import { type RowOptions, type Side, sides } from "./rowRules.js";
import type { Row } from "./rows.js";
import { type LineBlock, lineBlocks } from "./textFile.js";

/** What a worker is started with. */
export interface WorkerSetup {
  /** The tokenizer, as `vocabularyBytes` writes it. */
  readonly vocabulary: Uint8Array;
  readonly options: RowOptions;
  /** The first rows, by which the template is chosen. */
  readonly first: readonly Row[];
}

export interface BlockRequest {
  readonly block: LineBlock;
  readonly path: string;
}

export interface RowCounts {
  total: number;
  filteredOut: number;
}

export interface PreparedBlock extends Record<Side, { examples: PackedExamples; tally: Tally }> {
  readonly rows: RowCounts;
}

export type BlockReply = PreparedBlock | { readonly error: string; readonly isFacetError: boolean };

/** A worker has this much text at a time. */
const BLOCK = 2 ** 20;
/** Each holds a vocabulary's tables; more would wait for the thread that reads. */
const MOST_WORKERS = 8;
/** So many blocks wait for each worker, so that none has to wait. */
const QUEUE = 3;

// Sources that a test runner compiles on the fly have no such file beside them; then one thread does everything.
const script = fileURLToPath(new URL("./rowWorker.js", import.meta.url));

/** Whether several threads can prepare these files: JSON Lines, plain or compressed, on more than one processor. */
export const canUseWorkers = (files: readonly string[]): boolean =>
  availableParallelism() > 1 &&
  existsSync(script) &&
  files.every((file) => /\.(jsonl|ndjson)(\.gz)?$/i.test(file));

/**
 * Prepares all rows of files of JSON Lines by a thread for each processor, up to eight. Blocks are added in their order,
 * so the result does not depend on the threads. Throws the FacetError of the first line that has one.
 */
export async function prepareInWorkers(
  files: readonly string[],
  setup: WorkerSetup,
  into: Readonly<Record<Side, { readonly examples: ExampleStore; readonly tally: Tally }>>,
): Promise<RowCounts> {
  const length = Math.min(availableParallelism(), MOST_WORKERS);
  const workers = Array.from({ length }, () => openWorker(setup));
  const rows = { total: 0, filteredOut: 0 };
  const waiting: Promise<BlockReply>[] = [];
  const takeFirst = async () => {
    const reply = await waiting.shift()!;
    if ("error" in reply) {
      throw reply.isFacetError ? new FacetError(reply.error) : new Error(reply.error);
    }
    rows.total += reply.rows.total;
    rows.filteredOut += reply.rows.filteredOut;
    for (const side of sides) {
      into[side].examples.append(reply[side].examples);
      addTally(into[side].tally, reply[side].tally);
    }
  };
  try {
    let count = 0;
    for (const path of files) {
      for await (const block of lineBlocks(path, BLOCK)) {
        waiting.push(workers[count++ % workers.length]!.ask({ block, path }));
        if (waiting.length >= QUEUE * workers.length) await takeFirst();
      }
    }
    while (waiting.length > 0) await takeFirst();
    return rows;
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}

function openWorker(setup: WorkerSetup) {
  // Options of this process's own node, such as --input-type, may not fit a worker's script.
  const worker = new Worker(script, { workerData: setup, execArgv: [] });
  const asked: ((reply: BlockReply) => void)[] = [];
  let failure: BlockReply | undefined;
  const fail = (error: string) => {
    failure ??= { error, isFacetError: false };
    for (const reply of asked.splice(0)) reply(failure);
  };
  worker.on("message", (reply: BlockReply) => asked.shift()?.(reply));
  worker.on("error", (error) => fail(error.stack ?? error.message));
  worker.on("exit", (code) => fail(`a thread that prepares rows ended with exit code ${code}`));
  return {
    ask: (request: BlockRequest): Promise<BlockReply> =>
      new Promise((resolve) => {
        if (failure !== undefined) return resolve(failure);
        asked.push(resolve);
        worker.postMessage(request);
      }),
    end: () => worker.terminate(),
  };
}
