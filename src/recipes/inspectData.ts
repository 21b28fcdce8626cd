import { type Dataset, type DatasetOptions, loadDataset } from "../data/dataset.js";
import { type Duplicate, duplicateFinder } from "../data/duplicates.js";
import { type Examples, idCounts } from "../data/exampleStore.js";
import type { Example } from "../data/examples.js";
import { type Inspection, inspectPrepared, type ShownToken, shownTokens } from "../data/inspect.js";
import { packed } from "../data/packing.js";
import { fileOf } from "../data/prepareReport.js";
import { type Place, placeOf, type Row } from "../data/rows.js";
import { scannedRows } from "../data/scannedRows.js";
import { textFlaws } from "../data/textFlaws.js";
import { type DataWarning, dataWarnings } from "../data/warnings.js";
import type { DownloadHooks } from "../hub/download.js";
import { mixOf, type Share, sharesOf } from "./dataMix.js";
import { type DataConfig, dataNames, datasetOptions } from "./openDataset.js";

export interface InspectOptions extends DataConfig {
  readonly mix?: readonly number[] | undefined;
  readonly sequenceLength: number;
  readonly validationSplit: number;
  readonly preferences: boolean;
  /** Line of the row that is to be shown. */
  readonly line?: number | undefined;
}

/** A row as the model sees it. */
export interface ShownExample extends Place {
  /** Of a preference the answer that is shown. */
  readonly answer?: "chosen" | "rejected";
  readonly truncated: number;
  readonly tokens: readonly ShownToken[];
}

/** What data would become in a run, and what is wrong with them. */
export interface DataReport {
  readonly data: string;
  readonly template: string;
  readonly sequenceLength: number;
  /** Rows in the files. */
  readonly rows: number;
  readonly filteredOut: number;
  /** Rows kept for validation. */
  readonly heldOut: number;
  /** Of the rows for training. */
  readonly inspection: Inspection;
  /** What an epoch would visit, where data sets are mixed. */
  readonly shares: readonly Share[] | undefined;
  /** What `--packing` would make of one epoch: rows, and the share of them that would be padding. */
  readonly packed: { readonly rows: number; readonly paddingShare: number };
  readonly duplicates: readonly Duplicate[];
  readonly warnings: readonly DataWarning[];
  /** The example at the line that was asked for, else the first. Undefined when there is none at that line. */
  readonly index: number | undefined;
  /** Why there is none: what the row at that line is or was. Undefined when there is no such row. */
  readonly fate: string | undefined;
  /** An example token by token, of a preference both answers. */
  shown(index: number): readonly ShownExample[];
}

/** Reads data as a run would, and looks at every row for what may be a mistake. Throws the FacetErrors of `loadDataset`. */
export async function inspectData(
  options: InspectOptions,
  reader: Pick<DatasetOptions, "tokenizer" | "chatTemplate">,
  download: DownloadHooks = {},
): Promise<DataReport> {
  const { sequenceLength, validationSplit, preferences, line } = options;
  const asked = { ...reader, sequenceLength, validationSplit, preferences, countAll: true };
  const given = await datasetOptions(options, asked, download);
  const dataset = await loadDataset(given);
  const { fate, ...findings } = await lookAtRows(given, line);
  const { train, rows } = dataset;
  const dropped = Object.entries(train.report.dropped).find(([, places]) =>
    places.some((place) => place.line === line),
  );
  return {
    ...{ data: dataNames(options).join(", "), template: dataset.template.name, sequenceLength },
    ...{ rows: rows.total, filteredOut: rows.filteredOut, duplicates: findings.duplicates },
    heldOut: dataset.validation?.report.kept ?? 0,
    inspection: inspectPrepared(train, sequenceLength),
    shares: sharesOf(options, mixOf(options.mix, dataset)),
    packed: packedShare(train.examples, sequenceLength),
    warnings: dataWarnings(train, reader.tokenizer.unkId, findings),
    index: line === undefined ? 0 : indexOf(train.examples, line),
    fate: dropped === undefined ? fate : `was dropped: ${dropped[0]}`,
    shown: (index) => shownExamples(dataset, index, reader.tokenizer),
  };
}

function indexOf(examples: Examples, line: number): number | undefined {
  let index = 0;
  for (const example of examples) {
    if (example.line === line) return index;
    index += 1;
  }
  return undefined;
}

/** Findings in the rows' text, and why the row at a line is not there for training. */
async function lookAtRows(options: DatasetOptions, line: number | undefined) {
  const finder = duplicateFinder();
  const duplicates: Duplicate[] = [];
  const flaws = new Map<string, Place[]>();
  let fate: string | undefined;
  for await (const { row, template, side } of scannedRows(options)) {
    if (row.line === line && side !== "train") {
      fate ??=
        side === undefined
          ? "is not used: --filter or --limit leaves it out"
          : "is held out for validation";
    }
    if (side === undefined) continue;
    const text = textOf(row, template.fields);
    const found = finder.add(text, row, side);
    if (found !== undefined) duplicates.push(found);
    for (const flaw of textFlaws(text)) {
      const places = flaws.get(flaw) ?? [];
      places.push(placeOf(row));
      flaws.set(flaw, places);
    }
  }
  return { duplicates, flaws, fate };
}

/** What a row says in the fields that become text. */
const textOf = ({ fields, nonText }: Row, used: readonly string[]): string =>
  used
    .flatMap((field) => {
      if (Object.hasOwn(fields, field)) return [fields[field]!];
      return Array.isArray(nonText[field]) ? [JSON.stringify(nonText[field])] : [];
    })
    .join("\n");

function packedShare(examples: Dataset["train"]["examples"], sequenceLength: number) {
  const order = Uint32Array.from({ length: examples.length }, (_, i) => i);
  const lengths = idCounts(examples);
  const rows = packed(order, lengths, sequenceLength).length;
  const inputs = lengths.reduce((sum, length) => sum + length - 1, 0);
  return { rows, paddingShare: 1 - inputs / (rows * sequenceLength) };
}

function shownExamples(
  { train }: Dataset,
  index: number,
  tokenizer: DatasetOptions["tokenizer"],
): ShownExample[] {
  const file = fileOf(train.report, index);
  const shown = (example: Example, answer?: "chosen" | "rejected"): ShownExample => ({
    ...{ file, line: example.line, truncated: example.truncated },
    ...(answer && { answer }),
    tokens: shownTokens(example, tokenizer),
  });
  const example = train.examples.at(index)!;
  const rejected = train.rejected?.at(index);
  return rejected === undefined
    ? [shown(example)]
    : [shown(example, "chosen"), shown(rejected, "rejected")];
}
