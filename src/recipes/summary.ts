import {
  type LoraConfig,
  type LoraLayout,
  requireSensible,
  targetModules,
} from "../lora/config.js";
import { loraVariables } from "../lora/variables.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import { gemmaModules, gemmaWeightSpecs } from "../models/gemma/weights.js";
import type { LinearModule } from "../nn/linear.js";

/** One layer of a summary. */
export interface LayerSummary {
  /** Keras's name for it, for example `decoder_block_0`. */
  readonly name: string;
  /** Batch, tokens, features; null where the size is not fixed. */
  readonly outputShape: readonly (number | null)[];
  /** The adapter's variables included. */
  readonly parameters: number;
  readonly trainable: number;
}

/** What a model is made of, and how much of it is trained. */
export interface Summary {
  readonly name: string;
  readonly layers: readonly LayerSummary[];
  readonly total: number;
  readonly trainable: number;
  readonly nonTrainable: number;
  readonly lora:
    | {
        readonly rank: number;
        readonly alpha: number;
        readonly layout: LoraLayout;
        readonly targets: readonly string[];
      }
    | undefined;
}

/**
 * Counts parameters from the model's shape; no weights are needed. Without an adapter everything is
 * trainable, as in Keras; with one only its variables are. `adapter.modules` says which layers it
 * changes; without it, every layer of the configuration's targets.
 * Throws a FacetError for a LoRA configuration that does not fit the model.
 */
export function summarize(
  name: string,
  config: GemmaConfig,
  adapter?: { readonly config: LoraConfig; readonly modules?: readonly LinearModule[] },
): Summary {
  const base = new Map<string, number>();
  for (const spec of gemmaWeightSpecs(config)) add(base, layerOf(spec.name), spec.shape);
  const added = new Map<string, number>();
  const modules = adapter?.modules ?? gemmaModules(config);
  if (adapter !== undefined && adapter.modules === undefined) {
    requireSensible(adapter.config, targetModules(adapter.config, modules));
  }
  for (const { module, shape } of adapter ? loraVariables(adapter.config, modules) : []) {
    add(added, layerOf(module.path), shape);
  }

  const layers = [...base].map(([layer, count]): LayerSummary => {
    const lora = added.get(layer) ?? 0;
    return {
      name: layer,
      outputShape: [null, null, config.hiddenSize],
      parameters: count + lora,
      trainable: adapter ? lora : count,
    };
  });
  const sum = (key: "parameters" | "trainable") =>
    layers.reduce((total, layer) => total + layer[key], 0);
  const [total, trainable] = [sum("parameters"), sum("trainable")];
  return {
    name,
    layers,
    total,
    trainable,
    nonTrainable: total - trainable,
    lora: adapter && {
      rank: adapter.config.rank,
      alpha: adapter.config.alpha,
      layout: adapter.config.layout,
      targets: adapter.config.targets,
    },
  };
}

/** The summary as a table in the manner of Keras, at most `width` columns wide where that is possible. */
export function renderSummary(summary: Summary, width: number): string {
  const header = ["Layer", "Output shape", "Params"];
  const rows = foldBlocks(summary.layers);
  const sizes = header.map((title, i) => Math.max(...[title, ...rows.map((r) => r[i]!)].map(len)));
  const framed = sizes.reduce((a, b) => a + b, 0) + 10 <= width;
  const table = framed ? frame(header, rows, sizes) : rows.map(([n, s, p]) => `${n}\n  ${s}  ${p}`);
  const total = (label: string, count: number) =>
    `${label}: ${count.toLocaleString("en")} (${byteSize(4 * count)})`;
  const { lora } = summary;
  const adapter = lora && [
    `LoRA: rank ${lora.rank}, alpha ${lora.alpha}, ${lora.layout} layout`,
    `  on ${lora.targets.join(", ")}`,
  ];
  return [
    `Model: "${summary.name}"`,
    ...table,
    total("Total params", summary.total),
    total("Trainable params", summary.trainable),
    total("Non-trainable params", summary.nonTrainable),
    ...(adapter ?? []),
    "(sizes as float32)",
  ].join("\n");
}

/** The layer, as Keras names it, that a Hugging Face tensor or module belongs to. */
function layerOf(path: string): string {
  const block = /\.layers\.(\d+)\./.exec(path);
  if (block !== null) return `decoder_block_${block[1]}`;
  return path.includes(".embed_tokens.") ? "token_embedding" : "final_normalization";
}

function add(counts: Map<string, number>, layer: string, shape: readonly number[]): void {
  const size = shape.reduce((a, b) => a * b, 1);
  counts.set(layer, (counts.get(layer) ?? 0) + size);
}

/** Table rows; neighbouring blocks with the same counts share one. */
function foldBlocks(layers: readonly LayerSummary[]): string[][] {
  const rows: string[][] = [];
  for (let i = 0; i < layers.length; ) {
    const first = layers[i]!;
    let end = i + 1;
    while (layers[end]?.name.startsWith("decoder_block_") && same(first, layers[end]!)) end++;
    const times = end - i;
    const name = times === 1 ? first.name : `${first.name}…${i + times - 2} (${times} ×)`;
    const shape = `(${first.outputShape.map((size) => size?.toLocaleString("en") ?? "None").join(", ")})`;
    rows.push([name, shape, first.parameters.toLocaleString("en")]);
    i = end;
  }
  return rows;
}

const same = (a: LayerSummary, b: LayerSummary) =>
  a.name.startsWith("decoder_block_") &&
  a.parameters === b.parameters &&
  a.trainable === b.trainable;

const len = (text: string) => text.length;

function frame(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  sizes: readonly number[],
): string[] {
  const rule = (left: string, cross: string, right: string) =>
    left + sizes.map((size) => "─".repeat(size + 2)).join(cross) + right;
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, i) =>
      i === cells.length - 1 ? cell.padStart(sizes[i]!) : cell.padEnd(sizes[i]!),
    );
    return `│ ${padded.join(" │ ")} │`;
  };
  return [
    rule("┌", "┬", "┐"),
    line(header),
    rule("├", "┼", "┤"),
    ...rows.map(line),
    rule("└", "┴", "┘"),
  ];
}

/** A size in memory, in the unit that suits it. */
export function byteSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes === 0 ? 0 : Math.floor(Math.log2(bytes) / 10);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 2)} ${units[power]}`;
}
