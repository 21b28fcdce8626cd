import type { Files } from "./memoryFolder.js";

/** What is fuzzed: one of Facet's readers with everything that it believes of a file. */
export interface FuzzedFormat {
  readonly name: string;
  /** Whole inputs, which are mutated; each should be small and different from the others. */
  seeds(): Files[] | Promise<Files[]>;
  /**
   * Reads the files below `folder` and uses all that came out of them. Throws a FacetError for what Facet refuses;
   * any other error is a finding, as is one that says that the reader gave something which cannot be.
   */
  read(folder: string): void | Promise<void>;
  /** Milliseconds that the reader itself allows a stranger's file; default: none. */
  readonly allowed?: number;
}

/** Throws when a reader gave something that cannot be. */
export function expectThat(condition: boolean, what: string): void {
  if (!condition) throw new Error(`broken promise: ${what}`);
}
