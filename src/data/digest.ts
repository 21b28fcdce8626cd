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

/** A number on [0, 1) that depends on the content only: the first 48 bits of its sha256. */
export function contentFraction(content: string): number {
  return createHash("sha256").update(content).digest().readUIntBE(0, 6) / 2 ** 48;
}
