/** Hashes of a signature: its estimate of a similarity is off by about 1 / √64 · √(s (1 − s)), 0.05 at 0.8. */
export const HASHES = 64;

/** Words that are compared together. */
const SHINGLE = 3;

/**
 * A signature of a text's words: of each of 64 hash functions the smallest value over all runs of three words, so that two
 * texts agree in a share of places that estimates the Jaccard similarity of their runs (Broder: "On the resemblance and
 * containment of documents", 1997). Case, white space and compatibility forms (NFKC) do not count; signs count as words.
 * A text of fewer than three words is one run.
 */
export function minHash(text: string): Uint32Array {
  const words = normalised(text).match(/[\p{L}\p{M}\p{N}]+|\S/gu) ?? [];
  const signature = new Uint32Array(HASHES).fill(0xffffffff);
  for (let i = 0; i === 0 || i + SHINGLE <= words.length; i++) {
    const shingle = textHash(words.slice(i, i + SHINGLE).join(" "));
    for (let k = 0; k < HASHES; k++) {
      const hash = mixed(shingle ^ Math.imul(k + 1, 0x9e3779b1));
      if (hash < signature[k]!) signature[k] = hash;
    }
  }
  return signature;
}

/** The share of places in which two signatures agree. */
export function similarity(a: Uint32Array, b: Uint32Array): number {
  let same = 0;
  for (let k = 0; k < HASHES; k++) if (a[k] === b[k]) same += 1;
  return same / HASHES;
}

/** A text without the differences that nobody sees: case, runs of white space, compatibility forms. */
export const normalised = (text: string): string =>
  text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();

/** FNV-1a over UTF-16 units. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The finalizer of MurmurHash3: every bit of the input changes about half of the output. */
function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
