import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bindings, Program, Tensor } from "../../graph/index.js";
import { costOf, evaluateDim } from "../../graph/index.js";
import type { OperationProfile, ProgramProfile } from "../profile.js";

/** An entry of ONNX Runtime's trace: times in microseconds. */
interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
}

export interface Profiler {
  /** What ONNX Runtime puts in front of the trace's file name. */
  readonly prefix: string;
  /** Notes a finished run; true once there are enough. */
  ran(bindings: Bindings, milliseconds: number): boolean;
  /** Reads the trace that ONNX Runtime has written, and removes it. Undefined if nothing ran. */
  finish(): ProgramProfile | undefined;
}

const enoughRuns = 11;
const kernel = "_kernel_time";

/** Attributes ONNX Runtime's times to the operations of a program, by the names that its nodes have in the model. */
export function openProfiler(name: string, program: Program): Profiler {
  const folder = mkdtempSync(join(tmpdir(), "facet-profile-"));
  const runs: { bindings: Bindings; milliseconds: number }[] = [];
  return {
    prefix: join(folder, "trace"),
    ran(bindings, milliseconds) {
      runs.push({ bindings, milliseconds });
      return runs.length === enoughRuns;
    },
    finish() {
      const [trace] = readdirSync(folder);
      const events =
        trace && (JSON.parse(readFileSync(join(folder, trace), "utf8")) as TraceEvent[]);
      rmSync(folder, { recursive: true });
      if (!events || runs.length === 0) return undefined;
      const skipped = runs.length > 1 ? 1 : 0;
      const counted = runs.slice(skipped);
      return {
        program: name,
        runs: counted.length,
        milliseconds: counted.reduce((sum, run) => sum + run.milliseconds, 0) / counted.length,
        operations: byOperation(
          program,
          millisecondsByNode(events, skipped),
          counted.map((run) => run.bindings),
        ),
      };
    },
  };
}

/** Σ of the times of each node of the program, by its id, without the first `skipped` runs. */
function millisecondsByNode(events: readonly TraceEvent[], skipped: number): Map<number, number> {
  const starts = events.filter(({ name }) => name === "model_run").map(({ ts }) => ts);
  const from = starts.sort((a, b) => a - b)[skipped]!;
  const times = new Map<number, number>();
  for (const { cat, name, ts, dur } of events) {
    // What runs in the body of a loop is in the loop's own time.
    const id = Number.parseInt(name, 10);
    if (cat !== "Node" || ts < from || !name.endsWith(kernel) || Number.isNaN(id)) continue;
    times.set(id, (times.get(id) ?? 0) + dur / 1000);
  }
  return times;
}

function byOperation(
  program: Program,
  milliseconds: ReadonlyMap<number, number>,
  runs: readonly Bindings[],
): OperationProfile[] {
  const used = new Set<Tensor>([
    ...program.outputs.values(),
    ...program.nodes.flatMap((node) => node.inputs),
  ]);
  const groups = new Map<string, OperationProfile>();
  for (const node of program.nodes) {
    const time = milliseconds.get(node.id);
    if (time === undefined) continue;
    const operation = node.operation.name;
    const phase = node.backward ? "backward" : "forward";
    const cost = costOf(node, (tensor) => used.has(tensor));
    const mean = (dim: typeof cost.flops) =>
      runs.reduce((sum, bindings) => sum + evaluateDim(dim, bindings), 0) / runs.length;
    const group = groups.get(`${operation} ${phase}`);
    groups.set(`${operation} ${phase}`, {
      operation,
      phase,
      count: (group?.count ?? 0) + 1,
      milliseconds: (group?.milliseconds ?? 0) + time / runs.length,
      flops: (group?.flops ?? 0) + mean(cost.flops),
      bytes: (group?.bytes ?? 0) + mean(cost.bytes),
    });
  }
  return [...groups.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
