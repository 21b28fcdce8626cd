import { createHash } from "node:crypto";
import { HASHES, minHash, normalised, similarity } from "./minHash.js";
import { type Place, placeOf } from "./rows.js";

/** Two rows that say the same, or nearly. */
export interface Duplicate {
  readonly row: Place;
  /** The first row like it. */
  readonly of: Place;
  /** 1 for equal texts, else the estimated share of common runs of words. */
  readonly similarity: number;
  /** Whether one of the two is for training and the other for validation. */
  readonly leak: boolean;
}

/** Rows compared for near duplicates; each takes about a kilobyte. */
export const MOST_COMPARED = 200_000;

/** Texts with at least this share of common runs of three words are near duplicates. */
export const NEAR = 0.8;

/** Hashes that must agree for two signatures to be compared. With 16 such bands 99.9 % of pairs at 0.8 are. */
const BAND = 4;
/** A band that so many rows share is boilerplate; comparing all of them would take forever. */
const CROWDED = 64;

export interface DuplicateFinder {
  /** Compares a text with those before; the result is the nearest one, if any is a duplicate. */
  add(text: string, place: Place, side?: "train" | "validation"): Duplicate | undefined;
}

/**
 * Finds texts that are equal but for case and white space, and those that share most of their words (MinHash with
 * locality-sensitive hashing). Looks for near ones among the first `MOST_COMPARED` texts only. Rows come one by one.
 */
export function duplicateFinder(near = NEAR): DuplicateFinder {
  interface Known {
    readonly place: Place;
    readonly side: string;
    readonly signature: Uint32Array;
  }
  const exact = new Map<string, { place: Place; side: string }>();
  const bands = new Map<number, Known[]>();
  let compared = 0;

  const nearest = (signature: Uint32Array): { known: Known; similarity: number } | undefined => {
    let best: { known: Known; similarity: number } | undefined;
    for (const key of bandKeys(signature)) {
      for (const known of bands.get(key) ?? []) {
        const value = similarity(known.signature, signature);
        if (value >= near && value > (best?.similarity ?? 0)) best = { known, similarity: value };
      }
    }
    return best;
  };

  return {
    add(text, row, side = "train") {
      const place = placeOf(row);
      const key = createHash("sha256").update(normalised(text)).digest("base64");
      const same = exact.get(key);
      if (same !== undefined) {
        return { row: place, of: same.place, similarity: 1, leak: same.side !== side };
      }
      exact.set(key, { place, side });
      if (compared === MOST_COMPARED) return undefined;
      compared += 1;
      const signature = minHash(text);
      const found = nearest(signature);
      for (const band of bandKeys(signature)) {
        const rows = bands.get(band) ?? [];
        if (rows.length < CROWDED) rows.push({ place, side, signature });
        bands.set(band, rows);
      }
      if (found === undefined) return undefined;
      const { known } = found;
      return {
        ...{ row: place, of: known.place, similarity: found.similarity },
        leak: known.side !== side,
      };
    },
  };
}

/** One number for each band: its place and its hashes. */
function* bandKeys(signature: Uint32Array): Generator<number> {
  for (let from = 0; from < HASHES; from += BAND) {
    let hash = from + 1;
    for (let k = from; k < from + BAND; k++) {
      hash = Math.imul(hash ^ signature[k]!, 0x01000193) ^ (hash >>> 15);
    }
    yield (hash >>> 0) * HASHES + from;
  }
}
