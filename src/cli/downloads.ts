import type { DownloadHooks, DownloadProgress } from "../hub/download.js";
import { Interrupted, interruption } from "./interruption.js";
import { duration, notice } from "./output.js";
import { openProgress } from "./progress.js";

/** What arrives in a moment needs no bar, in bytes. */
const SMALL = 1e6;

/**
 * Does work that may download something, and shows how that goes: a bar for each download. While there is one, Ctrl-C
 * stops it; what has arrived stays.
 */
export async function withDownloads<T>(work: (hooks: DownloadHooks) => Promise<T>): Promise<T> {
  const interrupted = interruption(() => {});
  let bar: ReturnType<typeof openBar> | undefined;
  const end = () => {
    bar?.stop();
    bar = undefined;
    interrupted.release();
  };
  try {
    return await work({
      signal: interrupted.signal,
      onNotice: (text) => (bar?.say ?? notice)(text),
      onProgress(progress) {
        if (bar === undefined) {
          if (progress.total < SMALL || progress.done === progress.total) return;
          bar = openBar(progress);
          interrupted.listen();
        }
        bar.update(progress);
        if (progress.done === progress.total) end();
      },
    });
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    throw new Interrupted(
      "Stopped. What has arrived is kept; the same command continues the download.",
    );
  } finally {
    end();
  }
}

function openBar({ name, done: before }: DownloadProgress) {
  const bar = openProgress(`Downloading ${name}`);
  const began = performance.now();
  return {
    say: bar.say,
    stop: bar.stop,
    update({ done, total, filesDone, files }: DownloadProgress) {
      const seconds = (performance.now() - began) / 1000;
      const speed = (done - before) / seconds;
      const left = speed > 0 ? [`${duration((total - done) / speed)} left`] : [];
      bar.update({
        done: done === total ? Math.ceil(total / 1e6) : Math.floor(done / 1e6),
        total: Math.ceil(total / 1e6),
        details: [
          "MB",
          ...left,
          `${(speed / 1e6).toFixed(1)} MB/s`,
          ...(files > 1 ? [`${filesDone} of ${files} files`] : []),
        ],
      });
    },
  };
}
