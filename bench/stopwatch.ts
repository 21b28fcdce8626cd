import type { Engine, Executable } from "../src/engines/engine.js";

/** An engine whose programs add up how long they ran; `take` gives the sum so far and starts anew. */
export interface TimedEngine {
  readonly engine: Engine;
  /** Milliseconds. */
  readonly take: () => number;
}

export function timedEngine(engine: Engine): TimedEngine {
  let sum = 0;
  const timed = (program: Executable): Executable => ({
    close: () => program.close(),
    async run(inputs, into) {
      const began = performance.now();
      const outputs = await program.run(inputs, into);
      sum += performance.now() - began;
      return outputs;
    },
  });
  return {
    engine: {
      ...engine,
      compile: async (program, options) => timed(await engine.compile(program, options)),
    },
    take() {
      const taken = sum;
      sum = 0;
      return taken;
    },
  };
}
