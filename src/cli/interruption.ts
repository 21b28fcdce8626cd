import { FacetError } from "../errors.js";

const signals = ["SIGINT", "SIGTERM"] as const;

export interface Interruption {
  /** Aborted by the first Ctrl-C (SIGINT) or SIGTERM after `listen`. */
  readonly signal: AbortSignal;
  /** From now on a first signal is noticed. Before, it ends the process as usual. */
  listen(): void;
  /** Signals end the process as usual again. */
  release(): void;
}

/** npm passes on a Ctrl-C that the terminal has already delivered; these milliseconds tell it from a second one. */
const repeatWindow = 500;

/**
 * Turns the first signal into a request to stop; a second one ends the process at once, as it would
 * have without this.
 */
export function interruption(onFirst: () => void): Interruption {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) return;
    controller.abort();
    setTimeout(release, repeatWindow).unref();
    onFirst();
  };
  const release = () => {
    for (const signal of signals) process.off(signal, handle);
  };
  return {
    signal: controller.signal,
    listen() {
      for (const signal of signals) process.on(signal, handle);
    },
    release,
  };
}

/** A command that ends because it was asked to, with nothing to print. */
export class Interrupted extends FacetError {}

/** Exit code of a command that was interrupted: 128 + SIGINT, as shells have it. */
export const interruptedExitCode = 130;
