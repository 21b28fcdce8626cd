import { cpus, totalmem } from "node:os";
import { versions } from "../src/recipes/runFolder.js";

/** What the numbers depend on besides the code. */
export interface Conditions {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly threads: number;
  /** Version of each part, and the platform. */
  readonly versions: Readonly<Record<string, string>>;
  /** ISO 8601, UTC. */
  readonly date: string;
}

export function conditions(threads: number): Conditions {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    threads,
    versions: versions(),
    date: new Date().toISOString(),
  };
}
