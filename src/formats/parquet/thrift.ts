/** A value of Thrift's compact protocol: of a struct its fields by their number. */
export type Thrift = number | boolean | Buffer | Thrift[] | Struct;
export type Struct = ReadonlyMap<number, Thrift>;

/** Thrown where the bytes end within a struct. */
export class EndsEarly extends Error {
  constructor() {
    super("it ends within a header");
  }
}

/** Parquet's own structs go eight deep. */
const DEEPEST = 24;

/**
 * The struct at the start of some bytes, and its length in bytes. Integers beyond 2^53 are rounded: none that is
 * used here can be that large. Throws an Error for what is none. Source: thrift-compact-protocol.md of Apache Thrift.
 */
export function readStruct(bytes: Buffer): { struct: Struct; length: number } {
  let at = 0;

  const byte = (): number => {
    if (at >= bytes.length) throw new EndsEarly();
    return bytes[at++]!;
  };

  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const next = byte();
      value += (next & 0x7f) * scale;
      if (next < 128) return value;
      if (scale > 2 ** 63) throw new Error("an integer of more than 64 bits");
    }
  };

  const integer = (): number => {
    const value = varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };

  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new EndsEarly();
    at += length;
    return bytes.subarray(at - length, at);
  };

  const list = (depth: number): Thrift[] => {
    const head = byte();
    const count = head >> 4 === 15 ? varint() : head >> 4;
    const items: Thrift[] = [];
    // Every item takes a byte at least, so a count that is a lie ends here.
    for (let i = 0; i < count; i++) items.push(value(head & 15, depth, false));
    return items;
  };

  const value = (type: number, depth: number, inField: boolean): Thrift => {
    if (type === 1 || type === 2) return inField ? type === 1 : byte() === 1;
    if (type === 3) return byte();
    if (type >= 4 && type <= 6) return integer();
    if (type === 7) return take(8).readDoubleLE();
    if (type === 8) return take(varint());
    if (type === 9 || type === 10) return list(depth);
    if (type === 12) return struct(depth + 1);
    throw new Error(`a value of Thrift type ${type}`);
  };

  const struct = (depth: number): Struct => {
    if (depth > DEEPEST) throw new Error("structs that are nested too deep");
    const fields = new Map<number, Thrift>();
    let id = 0;
    for (;;) {
      const head = byte();
      if (head === 0) return fields;
      id = head >> 4 === 0 ? integer() : id + (head >> 4);
      fields.set(id, value(head & 15, depth, true));
    }
  };

  return { struct: struct(0), length: at };
}

/** Errors say what the value is for. */
export function integerField(struct: Struct, id: number, what: string): number {
  const value = struct.get(id);
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new Error(`it does not say ${what}`);
}

/** A field that may be missing. */
export function optionalInteger(struct: Struct, id: number, what: string): number | undefined {
  return struct.has(id) ? integerField(struct, id, what) : undefined;
}

export function textOf(value: Thrift | undefined, what: string): string {
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  throw new Error(`it does not say ${what}`);
}

export function structField(struct: Struct, id: number, what: string): Struct {
  const value = struct.get(id);
  if (value instanceof Map) return value;
  throw new Error(`it does not say ${what}`);
}

export function structsField(struct: Struct, id: number, what: string): Struct[] {
  const value = struct.get(id);
  if (Array.isArray(value) && value.every((item) => item instanceof Map)) return value as Struct[];
  throw new Error(`it does not say ${what}`);
}
