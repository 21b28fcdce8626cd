import type { Ceiling } from "./ceiling.js";
import type { AnyRow } from "./row.js";

export interface Bench {
  readonly threads: number;
  /** Measured runs of each case; every case has its own default. */
  readonly runs: number | undefined;
  /** Preset or folder for the rows that use facet_nano_en. */
  readonly model: string;
  readonly ceiling: Ceiling;
}

export type Case = (bench: Bench) => Promise<AnyRow[]>;
