/**
 * The types of HDF5 that Keras uses, in the bytes of a datatype message (HDF5 File Format Specification, IV.A.2.d):
 * class and version, three bytes of flags, the size, and properties.
 */

export type Hdf5Type = "F32" | "F16" | "F64" | "BF16" | "I64" | "I32" | "U8" | "string";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** Little-endian numbers. bfloat16 is no type of HDF5: Keras stores its bits as opaque, and says so in an attribute. */
export const numberTypes = {
  F32: { size: 4, message: hex("11201f0004000000 0000200017080017 7f000000") },
  F16: { size: 2, message: hex("11200f0002000000 00001000 0a05000a 0f000000") },
  F64: { size: 8, message: hex("11203f0008000000 00004000 340b0034 ff030000") },
  BF16: { size: 2, message: hex("15000000 02000000") },
  I64: { size: 8, message: hex("1008000008000000 00004000") },
  I32: { size: 4, message: hex("1008000004000000 00002000") },
  U8: { size: 1, message: hex("1000000001000000 00000800") },
} as const satisfies Partial<Record<Hdf5Type, { size: number; message: Uint8Array }>>;

export type NumberType = keyof typeof numberTypes;

/** A string of any length, UTF-8, in the file's heap: 16 bytes that say where. */
export const stringType = hex("19010100 10000000 1000000001000000 00000800");

/** What a datatype message describes; undefined for what Keras does not write. */
export function typeOf(message: Uint8Array): { type: Hdf5Type; size: number } | undefined {
  const [first = 0, flags = 0] = message;
  if (message.length < 8 || first >> 4 !== 1) return undefined;
  const size = new DataView(message.buffer, message.byteOffset).getUint32(4, true);
  switch (first & 15) {
    case 5:
      return size === 2 ? { type: "BF16", size } : undefined;
    case 9:
      return (flags & 15) === 1 && size === 16 ? { type: "string", size } : undefined;
    default:
      for (const [type, known] of Object.entries(numberTypes)) {
        // The byte order, the signs and the sizes of all fields must agree.
        if (known.message.every((byte, i) => message[i] === byte)) {
          return { type: type as NumberType, size: known.size };
        }
      }
      return undefined;
  }
}
