/** Where the time of one kind of operation goes; numbers are of one run of the program. */
export interface OperationProfile {
  readonly operation: string;
  readonly phase: "forward" | "backward";
  /** How many there are in the program. */
  readonly count: number;
  readonly milliseconds: number;
  /** Floating-point operations of matrix products. */
  readonly flops: number;
  /** Bytes that must be read and written, each once. */
  readonly bytes: number;
}

/** Where the time of a compiled program goes: the mean of its runs after the first, which reads the weights. */
export interface ProgramProfile {
  readonly program: string;
  readonly runs: number;
  /** Of a whole run, the engine's own bookkeeping included. */
  readonly milliseconds: number;
  /** The slowest first. */
  readonly operations: readonly OperationProfile[];
}
