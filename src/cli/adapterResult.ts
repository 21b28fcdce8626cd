import { z } from "zod";
import type { Reduced } from "../lora/singularValues.js";
import type { WrittenAdapter } from "../recipes/adapterTerms.js";
import { shown } from "./finetuneView.js";
import { facts } from "./layout.js";
import { outputWidth, percent, plural, print, printJson } from "./output.js";

/** The options of every command that makes an adapter. */
export const resultSchema = z.strictObject({
  out: z.string().describe("PEFT folder to write; must not exist yet"),
  model: z
    .string()
    .optional()
    .describe("base model, to check the adapters against it; a Keras .lora.h5 file needs it"),
});

/** What --json prints for an adapter that was made. */
export const resultJson =
  '--json prints {"out", "rank", "layers", "kept" (share of the squared norm of the updates; null where nothing was cut off)}.';

/** Share of the squared norm of all updates that their low-rank forms hold. */
export function keptShare(parts: readonly Pick<Reduced, "kept" | "total">[]): number {
  const sum = (key: "kept" | "total") => parts.reduce((total, part) => total + part[key], 0);
  return sum("total") === 0 ? 1 : sum("kept") / sum("total");
}

export function printResult(
  { out, rank, layers }: WrittenAdapter,
  kept: number | undefined,
  json: boolean,
): void {
  if (json) {
    printJson({ out, rank, layers, kept: kept ?? null });
    return;
  }
  const lines: [string, string][] = [
    ["Adapter", shown(out)],
    ["Rank", `${rank}, on ${plural(layers, "layer")}`],
  ];
  if (kept !== undefined) lines.push(["Kept", `${percent(kept)} of the updates' squared norm`]);
  print(facts(lines, outputWidth()));
}
