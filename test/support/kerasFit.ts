import { readFileSync } from "node:fs";
import type { Batch } from "../../src/data/batches.js";
import { views } from "../../src/engines/parameters.js";
import { type Adapter, emptyAdapter } from "../../src/lora/adapter.js";
import { defaultTargets } from "../../src/lora/config.js";
import { fixture } from "./modelFolder.js";
import { openTensors } from "./safetensorsFile.js";
import { modules } from "./tinyGemma.js";

/** What Keras's `fit` did with the tiny Gemma: 6 rows of 32 tokens, LoRA of rank 4 on query and value. */
export const fit = openTensors(fixture("keras_gemma1_tiny/fit.safetensors"));
export const expected = JSON.parse(
  readFileSync(fixture("keras_gemma1_tiny/expected.json"), "utf8"),
);

/** Keras's path of a variable of the adapter. */
export function kerasName(variable: string): string {
  const match = /layers\.(\d+)\.self_attn\.([qv])_proj\.lora_([ab])$/.exec(variable);
  if (match === null) throw new Error(`Keras has no variable for ${variable}`);
  const [, layer, target, matrix] = match;
  const projection = target === "q" ? "query" : "value";
  return `decoder_block_${layer}/attention/${projection}/lora_kernel_${matrix}`;
}

/** An adapter in Keras's layout with the variables of a state of the fixture, "init" for one. */
export function kerasAdapter(state: string): Adapter {
  const adapter = emptyAdapter(
    { rank: 4, alpha: 4, targets: defaultTargets, layout: "keras" },
    modules,
  );
  for (const [name, { data, shape }] of Object.entries(
    views(adapter.parameters.slots, adapter.parameters.values),
  )) {
    const stored = fit.tensor(`${state}/${kerasName(name)}`);
    if (stored.shape.join() !== shape.join()) throw new Error(`${name}: [${stored.shape}]`);
    data.set(stored.data);
  }
  return adapter;
}

/** Rows from … to − 1 as Keras's preprocessor made them, without the columns that are all padding. */
export function kerasBatch(from: number, to: number): Batch {
  const columns = (name: string) => {
    const { data, shape } = fit.tensor(`data/${name}`);
    const width = shape[1]!;
    return Array.from({ length: to - from }, (_, i) => [
      ...data.subarray((from + i) * width, (from + i + 1) * width),
    ]);
  };
  const weights = columns("sample_weight");
  const length = 1 + Math.max(...weights.map((row) => row.lastIndexOf(1)));
  const flat = (rows: number[][]) => rows.flatMap((row) => row.slice(0, length));
  return {
    ids: Int32Array.from(flat(columns("token_ids"))),
    targets: Int32Array.from(flat(columns("y"))),
    weights: Float32Array.from(flat(weights)),
    size: to - from,
    length,
    targetTokens: flat(weights).reduce((a, b) => a + b, 0),
    rows: Array.from({ length: to - from }, (_, i) => from + i),
  };
}
