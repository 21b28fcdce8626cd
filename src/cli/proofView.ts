import type { WrittenFile } from "../recipes/proof.js";
import { shown } from "./finetuneView.js";
import { facts } from "./layout.js";
import { notice, outputWidth, print, printJson } from "./output.js";

/** What every command that writes and proves says of it. */
export const proofNote =
  "What was written is read back, and its logits on fixed prompts are compared with the live model's. Beyond the tolerance of the type the exit code is 1. --no-verify skips this: then nothing says that other tools will compute what Facet computes.";

export const proofJson =
  '--json prints {"out", "type", "proof": {"largestDifference", "relativeError", "tolerance", "positions", "holds"} or null, "warnings": […]}.';

/** Prints what was written and how it was proved; a proof that does not hold makes the exit code 1. */
export function printWritten({ out, type, proof, warnings }: WrittenFile, json: boolean): void {
  if (json) printJson({ out, type, proof: proof ?? null, warnings });
  else {
    const lines: [string, string][] = [["Written", `${shown(out)}, ${type}`]];
    if (proof !== undefined) {
      const { largestDifference, relativeError, tolerance, positions } = proof;
      lines.push([
        "Read back",
        `logits at ${positions} positions differ by ${relativeError.toExponential(1)} of their spread (allowed: ${tolerance}), at most by ${largestDifference.toExponential(1)}`,
      ]);
    }
    print(facts(lines, outputWidth()));
  }
  for (const warning of warnings) notice(warning);
  if (proof === undefined) notice("Not verified: the result was not read back.");
  else if (!proof.holds) {
    notice("The result does not compute what the live model computes. Do not use it.");
    process.exitCode = 1;
  }
}
