import { existsSync } from "node:fs";
import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { chatTemplateOf, openModel } from "../hub/openModel.js";
import { vocabularyPlace } from "../hub/places.js";
import { families } from "../models/gemma/family.js";
import { finetuneSchema, modelField } from "../recipes/finetuneConfig.js";
import { type DataReport, inspectData } from "../recipes/inspectData.js";
import { writeDataReport } from "../recipes/inspectReport.js";
import { requireTokenizer } from "../runtime/session.js";
import { loadSentencePiece } from "../tokenizers/sentencePiece.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { inspectionJson, printInspection } from "./inspectView.js";
import { notice, printJson } from "./output.js";

const { data, filter, columns, template, limit, targets, overlong, sequenceLength } =
  finetuneSchema.shape;
const schema = z.strictObject({
  model: modelField.optional().describe("model whose tokenizer is to be used"),
  tokenizer: z.string().optional().describe("tokenizer.model file, instead of --model"),
  data: data.describe("data to look at: file, folder, or what to download"),
  mix: finetuneSchema.shape.mix,
  filter,
  columns,
  template,
  limit,
  targets,
  overlong,
  sequenceLength,
  validationSplit: finetuneSchema.shape.validationSplit,
  preferences: z
    .boolean()
    .default(false)
    .describe("prepare rows as pairs of a chosen and a rejected answer"),
  row: z.int().positive().optional().describe("line of the row to show (default: the first kept)"),
  html: z.string().optional().describe("write the report as an HTML page to this new file"),
});

/** Rows that the HTML page shows, spread over the data. */
const SHOWN = 6;

export const inspectCommand = (): Command =>
  schemaCommand(
    {
      name: "inspect",
      description:
        "Show what data become, and what is wrong with them: rows, lengths, tokens, duplicates",
      schema,
      notes: [
        "Rows are prepared exactly as finetune prepares them with the same options. Rows are compared without case and white space; near duplicates have at least 80 % of their runs of three words in common, and are looked for among the first 200,000 rows.",
        '--json prints {"data", "template", "rows", "filtered_out", "held_out", "kept", "dropped": {reason: [{"file", "line"}]} (with "unit": "row" where rows are counted: JSON, Parquet, text), "truncated", "target_tokens", "target_share", "padding_share", "packed": {"rows", "padding_share"}, "lengths": {"min", "mean", "median", "p95", "max", "total"}, "histogram": [{"from", "to", "count"}], "warnings": [{"kind", "message", "places": [{"file", "line"}]}], "duplicates": [{"row", "of", "similarity", "leak"}], "row": {"file", "line", "truncated", "tokens": [{"id", "piece", "target"}]}}, with --mix also "mix": [{"data", "examples"}], with --preferences also "rejected", as "row". Lengths count tokens before truncation.',
      ],
      examples: [
        "facet inspect --model facet_nano_en --data notes.jsonl",
        "facet inspect --model gemma_2b_en --data dolly.jsonl --filter no-context --row 7",
        "facet inspect --model facet_nano_en --data notes.jsonl --validation-split 0.1 --html notes.html",
        "facet inspect --tokenizer tokenizer.model --data notes.jsonl --json",
      ],
    },
    async (options, json) => {
      if (options.html !== undefined && existsSync(options.html)) {
        throw new FacetError(`${options.html} exists; the report needs a new file.`);
      }
      const report = await withDownloads(async (hooks) =>
        inspectData({ ...options, line: options.row }, await openReader(options, hooks), hooks),
      );
      const index = shownIndex(report, options.row);
      const rows = report.shown(index);
      if (options.html !== undefined) {
        const { kept } = report.inspection.report;
        const spread = Array.from({ length: SHOWN }, (_, i) => Math.floor((i * kept) / SHOWN));
        writeDataReport(options.html, report, {
          model: (options.model ?? options.tokenizer)!,
          indices: [...new Set([index, ...spread])],
        });
        notice(`Wrote ${options.html}`);
      }
      if (json) printJson(inspectionJson(report, rows));
      else printInspection(report, rows);
    },
  );

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

/** The index of the row to show. Throws a FacetError that says why there is none. */
function shownIndex({ index, fate }: DataReport, line: number | undefined): number {
  if (index !== undefined) return index;
  if (fate !== undefined) throw new FacetError(`The row at line ${line} ${fate}.`);
  throw new FacetError(
    `There is no row at line ${line}. Rows are numbered by their lines, from 1.`,
  );
}
