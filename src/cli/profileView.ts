import type { ProgramProfile } from "../engines/profile.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { table } from "./layout.js";
import { count, notice, percent } from "./output.js";

/**
 * Shows where the time of each program goes, and keeps all of it in a JSON file: a list with an
 * entry for each program, times in milliseconds.
 */
export function profileTo(file: string): (profile: ProgramProfile) => void {
  const profiles: ProgramProfile[] = [];
  writeFileAtomic(file, "[]\n");
  return (profile) => {
    profiles.push(profile);
    writeFileAtomic(file, `${JSON.stringify(profiles, null, 2)}\n`);
    notice(`\n${profileTable(profile)}\n`);
  };
}

export function profileTable({ program, runs, milliseconds, operations }: ProgramProfile): string {
  const rows = operations.map(({ operation, phase, count: times, milliseconds: ms, ...work }) => [
    `${operation}, ${phase}`,
    count(times),
    ms.toFixed(2),
    percent(ms / milliseconds),
    work.flops === 0 ? "" : (work.flops / ms / 1e6).toFixed(0),
    (work.bytes / ms / 1e6).toFixed(1),
  ]);
  const total = (of: "milliseconds" | "flops" | "bytes") =>
    operations.reduce((sum, operation) => sum + operation[of], 0);
  const outside = milliseconds - total("milliseconds");
  rows.push(["outside the operations", "", outside.toFixed(2), percent(outside / milliseconds)]);
  const header = ["operation", "number", "ms", "share", "GFLOP/s", "GB/s"];
  const work =
    `${(total("flops") / 1e9).toFixed(1)} GFLOP in matrix products, ` +
    `${(total("bytes") / 1e9).toFixed(2)} GB to read and write`;
  const title = `${program}: ${milliseconds.toFixed(1)} ms a run, mean of ${count(runs)}; ${work}`;
  return `${title}\n${table(
    header,
    rows.map((row) => [...row, "", ""].slice(0, header.length)),
  )}`;
}
