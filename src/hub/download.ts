import { dirname } from "node:path";
import { makeFolder } from "./part.js";
import { requireSpace, type Transferred, transfer, type Wanted } from "./transfer.js";

/** What is to be known while something is downloaded. Nothing here prints. */
export interface DownloadHooks {
  /** Stops the download; what has arrived is kept, and the next one continues it. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Called with what the user should know, such as that a copy is used because nothing answers. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

export interface DownloadProgress {
  /** What is downloaded, as the user named it. */
  readonly name: string;
  /** Bytes that are there, of those that this download is about. */
  readonly done: number;
  readonly total: number;
  readonly filesDone: number;
  readonly files: number;
}

/** A file whose size is known. */
export type SizedWanted = Wanted & { readonly size: number };

const PARALLEL_FILES = 4;

/**
 * Downloads files, several at a time, the largest first. When one fails the others are stopped; what has arrived of
 * them is kept.
 */
export async function downloadFiles(
  name: string,
  files: readonly SizedWanted[],
  { signal, onProgress, onNotice }: DownloadHooks,
): Promise<void> {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const [first] = files;
  if (first === undefined) return;
  makeFolder(dirname(first.target));
  requireSpace(first.target, total);
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  const arrived = new Map<SizedWanted, number>();
  let filesDone = 0;
  const report = () => {
    const done = [...arrived.values()].reduce((sum, bytes) => sum + bytes, 0);
    onProgress?.({ name, done, total, filesDone, files: files.length });
  };
  const queue = [...files].sort((a, b) => b.size - a.size);
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const current = file;
      const onBytes = (done: number) => {
        arrived.set(current, done);
        report();
      };
      await transfer(current, { signal: stop, onNotice, onBytes });
      filesDone++;
      report();
    }
  };
  const workers = Array.from({ length: PARALLEL_FILES }, () =>
    work().catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
  const results = await Promise.allSettled(workers);
  signal?.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** Downloads one file whose size the server states. */
export const downloadFile = (
  name: string,
  file: Wanted,
  { signal, onProgress, onNotice }: DownloadHooks,
): Promise<Transferred> =>
  transfer(file, {
    signal,
    onNotice,
    onBytes: (done, total = done) =>
      onProgress?.({ name, done, total, filesDone: Number(done === total), files: 1 }),
  });
