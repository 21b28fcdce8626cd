import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { FacetError } from "../errors.js";
import { unreadable } from "./unreadable.js";

/** The bytes of a file in pieces; of a gzip file (name ends in .gz) the unpacked ones. Throws a FacetError for a file that cannot be read. */
export async function* fileBytes(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  try {
    if (!path.endsWith(".gz")) {
      yield* file as AsyncIterable<Buffer>;
      return;
    }
    const unpacked = createGunzip();
    file.on("error", (error) => unpacked.destroy(error));
    yield* file.pipe(unpacked) as AsyncIterable<Buffer>;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    if (!/^Z_/.test(code) && code !== "ERR__ZLIB") throw unreadable(path, cause);
    throw new FacetError(
      `${path} is damaged or no gzip file: ${(cause as Error).message}. Fetch it again, or rename it if it is not compressed.`,
      { cause },
    );
  } finally {
    file.destroy();
  }
}

/** The lines of a UTF-8 file, with or without a byte order mark, in order. Throws a FacetError with the line for what is none. */
export async function* fileLines(path: string): AsyncGenerator<{ text: string; line: number }> {
  let rest: Buffer[] = [];
  let line = 0;
  const text = (bytes: Buffer) => {
    line += 1;
    return { text: decodeLine(bytes, path, line), line };
  };
  for await (const bytes of fileBytes(path)) {
    let start = 0;
    for (;;) {
      const newline = bytes.indexOf(0x0a, start);
      if (newline < 0) break;
      const piece = bytes.subarray(start, newline);
      yield text(rest.length > 0 ? Buffer.concat([...rest, piece]) : piece);
      rest = [];
      start = newline + 1;
    }
    if (start < bytes.length) rest.push(bytes.subarray(start));
  }
  if (rest.length > 0) yield text(Buffer.concat(rest));
}

function decodeLine(bytes: Buffer, path: string, line: number): string {
  const mark = line === 1 && bytes.length >= 2 ? bytes.readUInt16BE(0) : 0;
  if (mark === 0xfffe || mark === 0xfeff) {
    throw new FacetError(`${path} is UTF-16 text. Save it as UTF-8.`);
  }
  try {
    // Only a mark at the very start of the file is dropped.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: line > 1 }).decode(bytes);
  } catch (cause) {
    throw new FacetError(`${path}, line ${line}: not valid UTF-8. Save the file as UTF-8.`, {
      cause,
    });
  }
}

/** The text of a UTF-8 file in pieces; `onBytes` is told the size of each, unpacked. Throws a FacetError for what is none. */
export async function* fileText(
  path: string,
  onBytes?: (count: number) => void,
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let at = 0;
  const decode = (bytes: Uint8Array | undefined) => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch (cause) {
      throw new FacetError(
        `${path}: not UTF-8 text (near byte ${at}). Convert it to UTF-8, or unpack it if it is compressed.`,
        { cause },
      );
    }
  };
  for await (const bytes of fileBytes(path)) {
    yield decode(bytes);
    at += bytes.length;
    onBytes?.(bytes.length);
  }
  yield decode(undefined);
}
