import { Worker } from "node:worker_threads";

export interface CopyOptions {
  readonly threads: number;
}

/** Bytes that each thread copies: many times what caches hold. */
const BYTES = 2 ** 28;

const program = `
  const { parentPort, workerData } = require("node:worker_threads");
  const from = new Uint8Array(workerData).fill(1);
  const to = new Uint8Array(workerData);
  parentPort.on("message", () => {
    const began = performance.now();
    to.set(from);
    parentPort.postMessage(performance.now() - began);
  });
  parentPort.postMessage("ready");
`;

/** Large copies in all threads at once; gives bytes read plus bytes written, per second. */
export async function openCopy({ threads }: CopyOptions): Promise<() => Promise<number>> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(program, { eval: true, workerData: BYTES, execArgv: [] }),
  );
  const replies = () =>
    Promise.all(
      workers.map((worker) => new Promise<unknown>((resolve) => worker.once("message", resolve))),
    );
  await replies();
  return async () => {
    const times = replies();
    for (const worker of workers) worker.postMessage("copy");
    const ms = Math.max(...((await times) as number[]));
    return (2 * BYTES * threads) / (ms / 1000);
  };
}
