import type { Logs } from "./callbacks.js";

export interface Progress {
  readonly epoch: number;
  readonly epochs: number;
  /** Counted from 0. */
  readonly batch: number;
  readonly steps: number;
  readonly logs: Logs;
  /** Show every step, on a line that rewrites itself, where there is a terminal. */
  readonly live: boolean;
}

/** Progress as Keras words it; without a terminal, or not live, one line per epoch. */
export function showProgress({ epoch, epochs, batch, steps, logs, live }: Progress): void {
  const ended = batch + 1 === steps;
  const rewrites = live && process.stdout.isTTY;
  if (!rewrites && !ended) return;
  const values = Object.entries(logs).map(([name, value]) => ` - ${name}: ${value.toFixed(4)}`);
  const line = `Epoch ${epoch + 1}/${epochs} ${batch + 1}/${steps}${values.join("")}`;
  process.stdout.write(rewrites ? `\r\x1b[K${line}${ended ? "\n" : ""}` : `${line}\n`);
}
