import { Presets, SingleBar } from "cli-progress";
import { notice } from "./output.js";

/** Where something that takes a while stands. */
export interface ProgressState {
  readonly done: number;
  readonly total: number;
  /** What else to show, the most important first: a narrow terminal drops the last. */
  readonly details: readonly string[];
}

export interface Progress {
  update(state: ProgressState): void;
  /** Prints a line without spoiling the bar. */
  say(text: string): void;
  stop(): void;
}

/**
 * Progress on stderr: a bar on a terminal, otherwise a plain line at the first step, about every
 * 10 %, and at the end.
 */
export function openProgress(label: string): Progress {
  return process.stderr.isTTY ? bar(label, process.stderr) : plainLines(label);
}

function bar(label: string, stream: NodeJS.WriteStream): Progress {
  let line = "";
  const single = new SingleBar(
    {
      stream,
      format: () => line,
      // Signals are the command's business, and a killed process must not leave the cursor hidden.
      gracefulExit: false,
      hideCursor: false,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(state) {
      line = progressLine(label, state, stream.columns ?? 80);
      if (!started) single.start(state.total, state.done);
      started = true;
      single.update(state.done);
    },
    say(text) {
      // The next update draws the bar again, below this line.
      stream.write(`${started ? "\r\x1b[K" : ""}${text}\n`);
    },
    stop() {
      if (started) single.stop();
      started = false;
    },
  };
}

function plainLines(label: string): Progress {
  const due = tenths();
  return {
    update(state) {
      if (due(state)) notice(`${label} ${[position(state), ...state.details].join("  ")}`);
    },
    say: notice,
    stop() {},
  };
}

/** Says of each state whether it is the first, the last, or the first in another tenth of the whole. */
export function tenths(): (state: { done: number; total: number }) => boolean {
  let last = -1;
  return ({ done, total }) => {
    const tenth = Math.floor((10 * done) / total);
    if (tenth === last) return false;
    last = tenth;
    return true;
  };
}

const position = ({ done, total }: ProgressState) => `${done}/${total}`;

/** One line of at most `width` − 1 columns: label, bar, position, and as many details as fit. */
export function progressLine(label: string, state: ProgressState, width: number): string {
  const room = width - 1;
  const fixed = [position(state)];
  for (const detail of state.details) {
    if ([...fixed, detail].join("  ").length > room) break;
    fixed.push(detail);
  }
  const text = fixed.join("  ");
  const withLabel = `${label} ${text}`;
  const cells = Math.min(24, room - withLabel.length - 1);
  if (cells >= 5) {
    const full = Math.round((cells * Math.min(state.done, state.total)) / state.total);
    return `${label} ${"█".repeat(full)}${"░".repeat(cells - full)} ${text}`;
  }
  return (withLabel.length <= room ? withLabel : text).slice(0, room);
}
