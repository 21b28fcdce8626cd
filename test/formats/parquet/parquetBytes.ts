/** A struct of Thrift by the numbers of its fields; `undefined` leaves a field out. */
export interface Fields {
  readonly [id: number]: number | string | Fields | readonly (string | Fields)[] | undefined;
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
const zigzag = (value: number) => varint(value < 0 ? -2 * value - 1 : 2 * value);

/** A struct in Thrift's compact protocol; all integers are 64-bit ones. */
export function thrift(fields: Fields): number[] {
  const bytes = Object.entries(fields).flatMap(([id, value]) => {
    if (value === undefined) return [];
    return [typeOf(value), ...zigzag(Number(id)), ...valueBytes(value)];
  });
  return [...bytes, 0];
}

type Value = NonNullable<Fields[number]>;
const typeOf = (value: Value) =>
  typeof value === "number" ? 6 : typeof value === "string" ? 8 : Array.isArray(value) ? 9 : 12;

function valueBytes(value: Value): number[] {
  if (typeof value === "number") return zigzag(value);
  if (typeof value === "string")
    return [...varint(Buffer.byteLength(value)), ...Buffer.from(value)];
  if (!Array.isArray(value)) return thrift(value as Fields);
  return [0xf0 + typeOf(value[0] ?? {}), ...varint(value.length), ...value.flatMap(valueBytes)];
}

/** A page as it is stored: header and bytes. */
export const page = (header: Fields, bytes: readonly number[]): number[] => [
  ...thrift({ 2: bytes.length, 3: bytes.length, ...header }),
  ...bytes,
];

/** A page of data, uncompressed. */
export const dataPage = (count: number, encoding: number, bytes: readonly number[]): number[] =>
  page({ 1: 0, 5: { 1: count, 2: encoding, 3: 3, 4: 3 } }, bytes);

export const plainText = (text: string): number[] => {
  const bytes = Buffer.from(text);
  return [bytes.length, 0, 0, 0, ...bytes];
};

export interface FileOptions {
  readonly rows: number;
  /** What replaces fields of the column's chunk, its data, the column itself, the group, or the footer. */
  readonly chunk?: Fields;
  readonly data?: Fields;
  readonly column?: Fields;
  readonly group?: Fields;
  readonly footer?: Fields;
}

/** A Parquet file with one column of text, `text`, that is never missing; and what a stranger would change in it. */
export function parquetFile(pages: readonly number[][], options: FileOptions): Uint8Array {
  const bytes = pages.flat();
  const { rows } = options;
  const where = { 4: 0, 5: rows, 7: bytes.length, 9: 4 };
  const data: Fields = { 1: 6, 3: ["text"], ...where, ...options.data };
  const footer = thrift({
    1: 1,
    2: [
      { 4: "schema", 5: 1 },
      { 1: 6, 3: 0, 4: "text", 6: 0, ...options.column },
    ],
    3: rows,
    4: [{ 1: [{ 2: 0, 3: data, ...options.chunk }], 2: bytes.length, 3: rows, ...options.group }],
    ...options.footer,
  });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  const magic = Buffer.from("PAR1");
  return Uint8Array.from([...magic, ...bytes, ...footer, ...length, ...magic]);
}
