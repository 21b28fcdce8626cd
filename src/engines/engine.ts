import type { Program } from "../graph/index.js";

/** A value outside the graph: row-major data and its shape. */
export interface HostTensor {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

/** A compiled program. */
export interface Executable {
  /**
   * Runs the program once. Every input of the program is given by name; symbolic dimensions take
   * their values from the shapes. An output named in `into` is written there, without a copy.
   * Throws when an input is missing or unknown, or an input or buffer has the wrong shape or type.
   */
  run(
    inputs: Readonly<Record<string, HostTensor>>,
    into?: Readonly<Record<string, HostTensor>>,
  ): Promise<Record<string, HostTensor>>;
  /** Frees what the engine holds; the executable cannot run afterwards. */
  close(): Promise<void>;
}

export interface CompileOptions {
  /** What a profile calls the program. */
  readonly name?: string;
  /** Whether it will run so often that making it faster may take a while. */
  readonly runsOften?: boolean;
}

/** The contract of an engine: compile a program, run it. Nothing above it knows which one runs. */
export interface Engine {
  readonly name: string;
  /** What decides how results are rounded: with the same settings, a program gives the same bits on a machine. */
  readonly settings: Readonly<Record<string, number | boolean>>;
  compile(program: Program, options?: CompileOptions): Promise<Executable>;
}
