import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { snappyUncompressor } from "hysnappy";
import { ZSTDDecoder } from "zstddec";
import { lz4Block, lz4Hadoop } from "./lz4.js";

/** Unpacks bytes to that many. */
export type Unpack = (packed: Uint8Array, length: number) => Uint8Array;

/** Bytes that a page may unpack to: no packing makes a thousandth of real text. */
const UNPACKED = { fixed: 1 << 16, perByte: 1000, most: 1 << 28 };

const node =
  (unpack: typeof gunzipSync | typeof brotliDecompressSync): Unpack =>
  (packed, length) =>
    unpack(packed, { maxOutputLength: Math.max(1, length) });

const zstd = new ZSTDDecoder();
const uncompressSnappy = snappyUncompressor();

/** By the number of the codec in parquet.thrift. */
const codecs: Record<number, Unpack> = {
  0: (packed) => packed,
  1: snappy,
  2: node(gunzipSync),
  4: node(brotliDecompressSync),
  5: lz4Hadoop,
  6: (packed, length) => zstd.decode(packed, length),
  7: lz4Block,
};

/** The decompression of a column. What it gives has the length that was asked for; all else is an Error. */
export async function unpackerOf(codec: number): Promise<Unpack> {
  const unpack = codecs[codec];
  if (unpack === undefined)
    throw new Error(`it is compressed in a way (${codec}) that is not known`);
  if (codec === 6) await zstd.init();
  return (packed, length) => {
    if (
      length < 0 ||
      length > UNPACKED.most ||
      length > UNPACKED.fixed + UNPACKED.perByte * packed.length
    ) {
      throw new Error(`a page of ${packed.length} bytes would unpack to ${length}`);
    }
    if (length === 0) return new Uint8Array(0);
    const bytes = unpack(packed, length);
    if (bytes.length === length) return bytes;
    throw new Error(`a page says that it unpacks to ${length} bytes, and does not`);
  };
}

/** The library believes the length that it is told; the bytes say it too, as a varint at their start. */
function snappy(packed: Uint8Array, length: number): Uint8Array {
  let says = 0;
  for (let i = 0, scale = 1; i < 5; i++, scale *= 128) {
    says += (packed[i]! & 0x7f) * scale;
    if (!(packed[i]! >= 128)) break;
  }
  if (says !== length)
    throw new Error(`a page says that it unpacks to ${length} bytes, and does not`);
  return uncompressSnappy(packed, length);
}
