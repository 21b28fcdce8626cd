import { Worker } from "node:worker_threads";
import type { Files } from "./memoryFolder.js";

/** Longest input that can be saved, in bytes. */
const ROOM = 1 << 24;

/**
 * Watches from another thread that every case comes to an end: one that takes `seconds` is saved in `place`, and the
 * process is killed. Give the result each case before it runs, and undefined after it.
 */
export function watchdog(place: string, seconds: number): (running: Files | undefined) => void {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const bytes = new Uint8Array(new SharedArrayBuffer(ROOM));
  const workerData = { state, bytes, place, seconds };
  new Worker(new URL("watchdog.mjs", import.meta.url), { workerData }).unref();
  let number = 0;
  return (running) => {
    if (running === undefined) {
      Atomics.store(state, 0, 0);
      return;
    }
    const names = Buffer.from(
      JSON.stringify([...running].map(([name, { length }]) => [name, length])),
    );
    bytes.set(names);
    let at = names.length;
    for (const file of running.values()) {
      if (at + file.length > ROOM) break;
      bytes.set(file, at);
      at += file.length;
    }
    state[1] = names.length;
    Atomics.store(state, 0, ++number);
  };
}
