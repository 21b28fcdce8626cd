/** A little-endian number in a file. */
export interface Field {
  readonly at: number;
  readonly size: 1 | 2 | 4 | 8;
}

const known = new WeakMap<Uint8Array, readonly Field[]>();

/** Where a file of this kind has counts, lengths, types and addresses; an input is mutated many times, so they are kept. */
export function fieldsOf(bytes: Uint8Array, path: string): readonly Field[] {
  const found = known.get(bytes);
  if (found !== undefined) return found;
  const fields = finderOf(path)(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  known.set(bytes, fields);
  return fields;
}

type Finder = (view: DataView) => Field[];

function finderOf(path: string): Finder {
  if (path.endsWith(".safetensors")) return () => [{ at: 0, size: 8 }];
  if (path.endsWith(".gguf")) return ggufFields;
  if (path.endsWith(".h5")) return hdf5Fields;
  if (path.endsWith(".model") || path.endsWith(".spm")) return protobufFields;
  return () => [];
}

const SCALARS = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

/** Everything in a GGUF header that is no text. */
const ggufFields: Finder = (view) => {
  const fields: Field[] = [];
  let at = 4;
  const number = (size: 4 | 8): number => {
    if (at + size > view.byteLength) throw new RangeError();
    fields.push({ at, size });
    at += size;
    return size === 4 ? view.getUint32(at - 4, true) : Number(view.getBigUint64(at - 8, true));
  };
  const scalar = (type: number, listed: boolean): void => {
    if (type === 8) {
      const length = number(8);
      at += length;
    } else {
      const size = SCALARS[type] ?? 0;
      if (size === 0 || at + size > view.byteLength) throw new RangeError();
      if (!listed) fields.push({ at, size: size as Field["size"] });
      at += size;
    }
  };
  try {
    number(4);
    const [tensors, values] = [number(8), number(8)];
    for (let i = 0; i < values; i++) {
      scalar(8, false);
      const type = number(4);
      if (type !== 9) scalar(type, false);
      else {
        const of = number(4);
        const count = number(8);
        for (let j = 0; j < count; j++) scalar(of, j > 3);
      }
    }
    for (let i = 0; i < tensors; i++) {
      scalar(8, false);
      const axes = number(4);
      for (let axis = 0; axis < axes; axis++) number(8);
      number(4);
      number(8);
    }
  } catch (error) {
    // A mutated file may end anywhere.
    if (!(error instanceof RangeError)) throw error;
  }
  return fields;
};

/** Addresses and lengths (aligned, and inside of the file), and the small numbers in front of messages. */
const hdf5Fields: Finder = (view) => {
  const fields: Field[] = [];
  for (let at = 0; at + 8 <= view.byteLength; at += 8) {
    const low = view.getUint32(at, true);
    const high = view.getUint32(at + 4, true);
    if (low === 0 && high === 0) continue;
    if (high === 0 && low <= view.byteLength) fields.push({ at, size: 8 }, { at, size: 8 });
    // A message has its type and size here; a header, a tree and a table of symbols their counts.
    const mark = view.getUint32(at, false);
    const isNode = mark === 0x54524545 || mark === 0x534e4f44;
    if (isNode) fields.push({ at: at + 6, size: 2 }, { at: at + 5, size: 1 });
    else if ((low & 0xffff) <= 17 && low >>> 16 < 512) {
      fields.push(
        { at, size: 1 },
        { at, size: 2 },
        { at: at + 1, size: 1 },
        { at: at + 2, size: 2 },
      );
      fields.push({ at: at + 4, size: 2 }, { at: at + 6, size: 2 });
    }
  }
  return fields;
};

/** Tags and lengths of the outer messages. */
const protobufFields: Finder = (view) => {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; at < view.byteLength; shift *= 128) {
      const byte = view.getUint8(at);
      fields.push({ at, size: 1 });
      at++;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
    return value;
  };
  while (at < view.byteLength) {
    const wire = varint() & 7;
    if (wire === 2) {
      const length = varint();
      const end = at + length;
      // A piece: its text's length, its score's tag, its type.
      for (const inner of [0, 1]) if (at + inner < end) fields.push({ at: at + inner, size: 1 });
      if (end - 2 > at) fields.push({ at: end - 1, size: 1 }, { at: end - 2, size: 1 });
      at = end;
    } else if (wire === 0) varint();
    else at += wire === 1 ? 8 : 4;
  }
  return fields.filter(({ at, size }) => at + size <= view.byteLength);
};
