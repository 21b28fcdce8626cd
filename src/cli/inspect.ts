import type { Command } from "commander";
import { z } from "zod";
import { dataRows } from "../data/dataFiles.js";
import type { Dataset } from "../data/dataset.js";
import type { Example } from "../data/examples.js";
import { inspectPrepared, type ShownToken, shownTokens } from "../data/inspect.js";
import type { LengthBucket } from "../data/lengths.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { chatTemplateOf, openModel } from "../hub/openModel.js";
import { vocabularyPlace } from "../hub/places.js";
import { families } from "../models/gemma/family.js";
import { finetuneSchema } from "../recipes/finetuneConfig.js";
import { dataNames, openDataset } from "../recipes/openDataset.js";
import { requireTokenizer } from "../runtime/session.js";
import { loadSentencePiece } from "../tokenizers/sentencePiece.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { facts, wrap } from "./layout.js";
import { colours, count, outputWidth, percent, print, printable, printJson } from "./output.js";
import { preparedNotice } from "./preparedData.js";

const { model, data, filter, columns, template, limit, targets, overlong, sequenceLength } =
  finetuneSchema.shape;
const schema = z.strictObject({
  model: model.optional().describe("model whose tokenizer is to be used"),
  tokenizer: z.string().optional().describe("tokenizer.model file, instead of --model"),
  data: data.describe("data to look at: file, folder, or what to download"),
  filter,
  columns,
  template,
  limit,
  targets,
  overlong,
  sequenceLength,
  row: z.int().positive().optional().describe("line of the row to show (default: the first kept)"),
});

export const inspectCommand = (): Command =>
  schemaCommand(
    {
      name: "inspect",
      description: "Show what a data file becomes: rows kept and dropped, lengths, tokens",
      schema,
      notes: [
        "Rows are prepared exactly as finetune prepares them with the same options.",
        '--json prints {"data", "template", "rows", "filtered_out", "kept", "dropped": {reason: [{"file", "line"}]} (with "unit": "row" where rows are counted: JSON, Parquet, text), "truncated", "target_tokens", "target_share", "padding_share", "lengths": {"min", "mean", "median", "max", "total"}, "histogram": [{"from", "to", "count"}], "row": {"line", "truncated", "tokens": [{"id", "piece", "target"}]}}. Lengths count tokens before truncation.',
      ],
      examples: [
        "facet inspect --model facet_nano_en --data notes.jsonl",
        "facet inspect --model gemma_2b_en --data dolly.jsonl --filter no-context --row 7",
        "facet inspect --tokenizer tokenizer.model --data notes.jsonl --json",
      ],
    },
    async (options, json) => {
      const { tokenizer, dataset } = await withDownloads(async (hooks) => {
        const reader = await openReader(options, hooks);
        const { sequenceLength } = options;
        const about = { ...reader, sequenceLength, countAll: true };
        const dataset = await openDataset(options, about, hooks);
        return { tokenizer: reader.tokenizer, dataset };
      });
      const row = await shownRow(dataset, options.row);
      const inspection = inspectPrepared(dataset.train, options.sequenceLength);
      const shown = {
        inspection,
        path: dataNames(options).join(", "),
        template: dataset.template.name,
        total: dataset.rows.total,
        filteredOut: dataset.rows.filteredOut,
        row: { ...row, tokens: shownTokens(row, tokenizer) },
      };
      if (json) printJson(toJson(shown));
      else printInspection(shown);
    },
  );

interface Seen {
  readonly inspection: ReturnType<typeof inspectPrepared>;
  readonly path: string;
  readonly template: string;
  readonly total: number;
  readonly filteredOut: number;
  readonly row: {
    readonly line: number;
    readonly truncated: number;
    readonly tokens: readonly ShownToken[];
  };
}

/** What reads the rows. Without a model, conversations are read as Gemma 3 does, whose template also takes a system's text. */
async function openReader(
  options: { model?: string | undefined; tokenizer?: string | undefined },
  hooks: DownloadHooks,
): Promise<{ tokenizer: Tokenizer; chatTemplate: string }> {
  if ((options.model === undefined) === (options.tokenizer === undefined)) {
    throw new FacetError("Give either --model or --tokenizer: rows are shown as its tokens.");
  }
  if (options.tokenizer !== undefined) {
    const { chatTemplate } = families.gemma3_text;
    return { tokenizer: loadSentencePiece(options.tokenizer, vocabularyPlace()), chatTemplate };
  }
  const model = await openModel(options.model!, hooks);
  return { tokenizer: requireTokenizer(model), chatTemplate: chatTemplateOf(model) };
}

/** The example at a line. Throws a FacetError that says why there is none. */
async function shownRow({ train, files }: Dataset, line: number | undefined): Promise<Example> {
  for (const example of train.examples) {
    if (line === undefined || example.line === line) return example;
  }
  const reason = Object.entries(train.report.dropped).find(([, places]) =>
    places.some((place) => place.line === line),
  )?.[0];
  if (reason !== undefined) throw new FacetError(`The row at line ${line} was dropped: ${reason}.`);
  for await (const row of dataRows(files)) {
    if (row.line !== line) continue;
    throw new FacetError(`The row at line ${line} is not used: --filter or --limit leaves it out.`);
  }
  throw new FacetError(
    `There is no row at line ${line}. Rows are numbered by their lines, from 1.`,
  );
}

function toJson({ inspection, path, template, total, filteredOut, row }: Seen) {
  const { report, histogram, targetShare, paddingShare } = inspection;
  const { min, mean, median, max, total: tokens } = report.lengths;
  return {
    data: path,
    template,
    rows: total,
    filtered_out: filteredOut,
    kept: report.kept,
    dropped: report.dropped,
    truncated: report.truncated,
    target_tokens: report.targetTokens,
    target_share: targetShare,
    padding_share: paddingShare,
    lengths: { min, mean, median, max, total: tokens },
    histogram,
    row: { line: row.line, truncated: row.truncated, tokens: row.tokens },
  };
}

function printInspection({ inspection, path, template, total, filteredOut, row }: Seen): void {
  const { report, histogram, targetShare, paddingShare } = inspection;
  const { min, mean, median, max } = report.lengths;
  const width = outputWidth();
  const heading = (text: string) => print(`\n${wrap(text, width).map(colours.bold).join("\n")}`);
  print(
    facts(
      [
        ["Data", path],
        ["Template", JSON.stringify(template)],
        ["Rows", `${count(total)} in the file, ${count(filteredOut)} filtered out`],
        ["Lengths", `${min} to ${max} tokens, mean ${mean.toFixed(1)}, median ${median}`],
        ["Targets", `${percent(targetShare)} of the tokens`],
        ["Padding", `${percent(paddingShare)} if every row were padded to the sequence length`],
      ],
      width,
    ),
  );
  heading("What became of the rows");
  for (const line of preparedNotice(report)) print(wrap(line, width).join("\n"));
  heading("Rows by length in tokens");
  print(bars(histogram, width));
  const cut = row.truncated > 0 ? `, ${row.truncated} tokens cut off` : "";
  heading(`The row at line ${row.line}: ${row.tokens.length} tokens${cut}, targets in [brackets]`);
  print(tokenText(row.tokens, width));
}

/** A bar per bucket, the longest as wide as fits. */
function bars(histogram: readonly LengthBucket[], width: number): string {
  const labels = histogram.map(({ from, to }) => `${from}–${to}`);
  const label = Math.max(...labels.map((text) => text.length));
  const most = Math.max(...histogram.map((bucket) => bucket.count));
  const room = Math.max(4, Math.min(50, width - label - 3 - count(most).length));
  return histogram
    .map((bucket, i) => {
      const length = bucket.count === 0 ? 0 : Math.max(1, Math.round((room * bucket.count) / most));
      return `${labels[i]!.padStart(label)} ${"█".repeat(length)} ${count(bucket.count)}`;
    })
    .join("\n");
}

function tokenText(tokens: readonly ShownToken[], width: number): string {
  const words = tokens.map(({ piece, target }) => {
    const safe = printable(piece.replaceAll("\n", "\\n").replaceAll("\t", "\\t"));
    return target ? `[${safe}]` : safe;
  });
  const paint = (line: string) => line.replace(/\[\S+\]/g, (piece) => colours.green(piece));
  return wrap(words.join(" "), width).map(paint).join("\n");
}
