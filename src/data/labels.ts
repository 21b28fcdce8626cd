import { FacetError, unknownName } from "../errors.js";
import type { Dataset, DatasetOptions } from "./dataset.js";
import type { Prepared } from "./examples.js";
import { growing } from "./growing.js";
import { type Row, textField } from "./rows.js";
import { scannedRows } from "./scannedRows.js";

/** The field that holds a row's class. */
const LABEL = "label";

/** More classes than this are no classes: another column was meant. */
const MOST = 1000;

/** The classes of a data set: their names, and for each example the index of its own. */
export interface Labels {
  readonly names: readonly string[];
  readonly train: Uint32Array;
  readonly validation: Uint32Array | undefined;
}

/**
 * Reads the labels of a data set that was loaded with these options; its files are read once more. The names are those
 * that are given, else all that occur, numbers by their value and others by their letters. Throws a FacetError for a row
 * without label, one of none of the given names, and for fewer than two classes or very many.
 */
export async function readLabels(
  options: DatasetOptions,
  dataset: Dataset,
  given?: readonly string[],
): Promise<Labels> {
  const known = new Map<string, number>(given?.map((name, i) => [name, i]));
  const sides = {
    train: cursor(dataset.train),
    validation: dataset.validation && cursor(dataset.validation),
  };
  for await (const { row, side } of scannedRows(options)) {
    const labels = side && sides[side];
    if (!labels?.isNext(row)) continue;
    const label = labelOf(row);
    if (!known.has(label)) {
      if (given !== undefined) throw unknownLabel(row, label, given);
      known.set(label, known.size);
      if (known.size > MOST) throw tooMany(row);
    }
    labels.push(known.get(label)!);
  }
  const names = given ?? inOrder([...known.keys()]);
  if (names.length < 2) {
    throw new FacetError(
      `${dataset.path}: all rows have the label ${JSON.stringify(names[0])}. A classifier needs two classes or more.`,
    );
  }
  const place = new Map(names.map((name, i) => [name, i]));
  const places = [...known.keys()].map((name) => place.get(name)!);
  const finished = (labels: Uint32Array) => labels.map((index) => places[index]!);
  return {
    names,
    train: finished(sides.train.values()),
    validation: sides.validation && finished(sides.validation.values()),
  };
}

/** Goes through the examples of one side, in the order of the rows that they were made of. */
function cursor({ examples, report }: Prepared) {
  const labels = growing(Uint32Array);
  let file = 0;
  let inFile = 0;
  return {
    isNext(row: Row): boolean {
      if (inFile === report.files[file]?.kept) {
        file += 1;
        inFile = 0;
      }
      return report.files[file]?.file === row.file && examples.at(labels.length)?.line === row.line;
    },
    push(label: number) {
      labels.push(label);
      inFile += 1;
    },
    values: () => labels.values(),
  };
}

/** The label of a row, a number or a boolean as text. Throws a FacetError for a row that has none. */
function labelOf(row: Row): string {
  const other = Object.hasOwn(row.nonText, LABEL) ? row.nonText[LABEL] : undefined;
  if (typeof other === "number" || typeof other === "boolean" || typeof other === "bigint") {
    return String(other);
  }
  const label = textField(row, LABEL)?.trim();
  if (label) return label;
  throw new FacetError(
    `${row.file}, line ${row.line}: the row has no label. If its class is in another column, name it: --columns label=sentiment.`,
  );
}

/** The data set with reports that do not count the labels among what is not used. */
export function withLabelsUsed(dataset: Dataset): Dataset {
  const used = <P extends Prepared>(side: P): P => {
    const { [LABEL]: _, ...unusedFields } = side.report.unusedFields;
    return { ...side, report: { ...side.report, unusedFields } };
  };
  const { train, validation } = dataset;
  return { ...dataset, train: used(train), validation: validation && used(validation) };
}

const inOrder = (names: readonly string[]): string[] =>
  names.every((name) => /^-?\d+$/.test(name))
    ? [...names].sort((a, b) => Number(a) - Number(b))
    : [...names].sort();

function unknownLabel(row: Row, label: string, names: readonly string[]): FacetError {
  const { message } = unknownName("label", label, names);
  return new FacetError(`${row.file}, line ${row.line}: ${message}`);
}

const tooMany = ({ file }: Row) =>
  new FacetError(
    `${file}: the labels have more than ${MOST} different values. Is it the right column? --columns label=… names another.`,
  );
