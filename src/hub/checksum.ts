import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

/** What the bytes of a file must give. */
export interface Checksum {
  /** `git`: SHA-1 as git names a blob, over "blob <size>\0" and the bytes. */
  readonly kind: "sha256" | "git" | "md5";
  readonly hex: string;
}

/** The checksum of a file in hexadecimal; it is read once, a piece at a time. */
export async function checksumOf(path: string, kind: Checksum["kind"]): Promise<string> {
  const hash = createHash(kind === "git" ? "sha1" : kind);
  if (kind === "git") hash.update(`blob ${(await stat(path)).size}\0`);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}
