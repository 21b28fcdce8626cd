import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { FacetError } from "../src/errors.js";
import type { ResidentMemory } from "./memory.js";
import type { OptionsOf, SampleOf, WorkloadName } from "./workloads/index.js";

/** A workload in a process of its own, so that its memory is its own and others do not disturb it. */
export interface Child<N extends WorkloadName> {
  /** Opens the workload if it is not open yet, and runs it once. */
  run(): Promise<SampleOf<N>>;
  memory(): Promise<ResidentMemory>;
  close(): Promise<void>;
}

type Reply = { readonly value: unknown } | { readonly error: string };

export function openChild<N extends WorkloadName>(name: N, options: OptionsOf<N>): Child<N> {
  const script = fileURLToPath(new URL("./child.ts", import.meta.url));
  const child = fork(script, [name, JSON.stringify(options)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const ended = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });

  const ask = async (request: "run" | "memory"): Promise<unknown> => {
    const replied = new Promise<Reply>((resolve) => child.once("message", resolve));
    const died = ended.then((how) => ({ error: `the process ended with ${how}` }));
    child.send(request, () => {});
    const reply = await Promise.race([replied, died]);
    if ("error" in reply) throw new FacetError(`The workload ${name} failed: ${reply.error}`);
    return reply.value;
  };
  return {
    run: async () => (await ask("run")) as SampleOf<N>,
    memory: async () => (await ask("memory")) as ResidentMemory,
    async close() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
