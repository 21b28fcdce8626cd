import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { unreadable } from "./unreadable.js";

/** The sha256 of a file's bytes, in hexadecimal. Throws a FacetError when it cannot be read. */
export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return hash.digest("hex");
}

/** The sha256 of a text, in hexadecimal. */
export const contentDigest = (content: string): string =>
  createHash("sha256").update(content).digest("hex");

/** A number on [0, 1): the first 48 bits of a digest. */
export const digestFraction = (digest: string): number =>
  Number.parseInt(digest.slice(0, 12), 16) / 2 ** 48;

/** A number on [0, 1) that depends on the content only. */
export const contentFraction = (content: string): number => digestFraction(contentDigest(content));
