/** The child's side of `openChild`: opens one workload, then runs it whenever the parent asks. */
import { FacetError } from "../src/errors.js";
import { residentMemory } from "./memory.js";
import { workloads } from "./workloads/index.js";

type Open = (options: unknown) => Promise<() => Promise<unknown>>;

const [name, options] = process.argv.slice(2) as [keyof typeof workloads, string];
const open = workloads[name] as Open;
let opened: Promise<() => Promise<unknown>> | undefined;

process.on("message", async (request: "run" | "memory") => {
  try {
    if (request === "memory") {
      process.send!({ value: residentMemory() });
      return;
    }
    opened ??= open(JSON.parse(options));
    const run = await opened;
    process.send!({ value: await run() });
  } catch (error) {
    process.send!({ error: described(error) });
  }
});
/** What the user can act on needs no stack trace; anything else is a bug. */
function described(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof FacetError ? error.message : (error.stack ?? error.message);
}

process.on("disconnect", () => process.exit());
