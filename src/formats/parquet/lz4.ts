const damaged = () => new Error("a page is not packed as LZ4 packs");

/**
 * Unpacks an LZ4 block to exactly `length` bytes; an Error for what is none. Source: lz4_Block_format.md of LZ4. (The
 * library for this believes lengths that lead it back to where it was.)
 */
export function lz4Block(packed: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  let [at, end] = [0, 0];
  const byte = (): number => {
    if (at >= packed.length) throw damaged();
    return packed[at++]!;
  };
  const extended = (start: number): number => {
    let sum = start;
    if (start < 15) return sum;
    for (;;) {
      const more = byte();
      sum += more;
      if (more < 255) return sum;
    }
  };
  while (at < packed.length) {
    const token = byte();
    const literals = extended(token >> 4);
    if (at + literals > packed.length || end + literals > length) throw damaged();
    output.set(packed.subarray(at, at + literals), end);
    at += literals;
    end += literals;
    // The last sequence has no copy.
    if (at === packed.length) break;
    const distance = byte() + 256 * byte();
    const copied = extended(token & 15) + 4;
    if (distance === 0 || distance > end || end + copied > length) throw damaged();
    // One by one: a copy may reach over its own start.
    for (const stop = end + copied; end < stop; end++) output[end] = output[end - distance]!;
  }
  if (end !== length) throw damaged();
  return output;
}

/**
 * The older form of LZ4 in Parquet: blocks as Hadoop writes them, each behind the lengths of what it unpacks to and of
 * itself, big-endian; but some writers left these out.
 */
export function lz4Hadoop(packed: Uint8Array, length: number): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const blocks: Uint8Array[] = [];
  let [at, total] = [0, 0];
  while (at < packed.length) {
    if (at + 8 > packed.length) return lz4Block(packed, length);
    const [unpacked, size] = [view.getUint32(at), view.getUint32(at + 4)];
    at += 8;
    total += unpacked;
    if (size > packed.length - at || total > length) return lz4Block(packed, length);
    blocks.push(lz4Block(packed.subarray(at, at + size), unpacked));
    at += size;
  }
  if (total !== length) throw damaged();
  return Buffer.concat(blocks, length);
}
