import { existsSync, readFileSync } from "node:fs";

const status = "/proc/self/status";
const rollup = "/proc/self/smaps_rollup";

/** Bytes of this process; what the system does not tell is undefined. */
export interface ResidentMemory {
  /**
   * The most that was resident at once (VmHWM). Linux counts a page for each mapping, so weights
   * that two programs map are in it twice, though they are in memory once.
   */
  readonly peak: number;
  /** Resident now: allocated (RssAnon), and mapped from files (RssFile). */
  readonly anonymous: number | undefined;
  readonly file: number | undefined;
  /** In memory now, each page counted once (Pss). */
  readonly physical: number | undefined;
}

export function residentMemory(): ResidentMemory {
  if (!existsSync(status)) {
    // getrusage's maximum, which Node gives in KiB on every system.
    const peak = process.resourceUsage().maxRSS * 1024;
    return { peak, anonymous: undefined, file: undefined, physical: undefined };
  }
  return {
    peak: field(status, "VmHWM"),
    anonymous: field(status, "RssAnon"),
    file: field(status, "RssFile"),
    physical: existsSync(rollup) ? field(rollup, "Pss") : undefined,
  };
}

function field(path: string, name: string): number {
  const found = new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(readFileSync(path, "utf8"))?.[1];
  if (found === undefined) throw new Error(`${path} has no ${name}`);
  return Number(found) * 1024;
}
