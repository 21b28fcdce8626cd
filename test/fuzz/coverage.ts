import { type Profiler, Session } from "node:inspector";
import { setFlagsFromString } from "node:v8";

/** Which parts of src/ have run, as V8 counts its blocks. */
export interface Coverage {
  /** How many characters of source ran since the last call and are not known yet. */
  fresh(): number;
  /** Makes known what the last call of `fresh` saw. */
  keep(): void;
  stop(): void;
}

export function watchCoverage(): Coverage {
  // V8 forgets the blocks of a function whose code it throws away.
  setFlagsFromString("--no-flush-bytecode");
  const session = new Session();
  session.connect();
  const post = <T>(method: string, params: object): T => {
    let answer: unknown;
    let failure: Error | null = null;
    session.post(method, params, (error, result) => {
      failure = error;
      answer = result;
    });
    if (failure !== null) throw failure;
    return answer as T;
  };
  post("Profiler.enable", {});
  post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const known = new Map<string, Uint8Array>();
  let last = new Map<string, Uint8Array>();
  return {
    fresh() {
      const { result } = post<Profiler.TakePreciseCoverageReturnType>(
        "Profiler.takePreciseCoverage",
        {},
      );
      const scripts = result.filter(({ url }) => url.includes("/src/"));
      last = new Map(scripts.map((script) => [script.scriptId, charactersRun(script)]));
      let fresh = 0;
      for (const [id, ran] of last) {
        const before = known.get(id);
        for (let i = 0; i < ran.length; i++) if (ran[i] === 1 && before?.[i] !== 1) fresh++;
      }
      return fresh;
    },
    keep() {
      for (const [id, ran] of last) {
        const before = known.get(id) ?? new Uint8Array(0);
        // A script's last functions are not always among those that V8 tells of.
        const merged = new Uint8Array(Math.max(before.length, ran.length));
        merged.set(before);
        ran.forEach((now, i) => {
          if (now === 1) merged[i] = 1;
        });
        known.set(id, merged);
      }
    },
    stop() {
      post("Profiler.stopPreciseCoverage", {});
      session.disconnect();
    },
  };
}

/** For each character of a script, whether it ran. The array ends after the last function that is known. */
function charactersRun({ functions }: Profiler.ScriptCoverage): Uint8Array {
  const ranges = functions.flatMap(({ ranges }) => ranges);
  const ran = new Uint8Array(Math.max(...ranges.map(({ endOffset }) => endOffset)));
  // Blocks stand inside of those before them.
  for (const { startOffset, endOffset, count } of ranges) {
    ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return ran;
}
