import { isUtf8 } from "node:buffer";
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

/** Lines of a file that lie together, all of them whole. */
export interface LineBlock {
  readonly bytes: Uint8Array;
  /** The number of its first line in the file, from 1. */
  readonly firstLine: number;
}

/** The lines of a file in blocks of at least `least` bytes, but for the last. Throws a FacetError for a file that cannot be read. */
export async function* lineBlocks(path: string, least: number): AsyncGenerator<LineBlock> {
  let held: Buffer[] = [];
  let size = 0;
  let firstLine = 1;
  for await (const bytes of fileBytes(path)) {
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end === 0 || size + end < least) {
      held.push(bytes);
      size += bytes.length;
      continue;
    }
    const whole = Buffer.concat([...held, bytes.subarray(0, end)]);
    yield { bytes: whole, firstLine };
    for (let at = 0; at < whole.length; at = whole.indexOf(0x0a, at) + 1) firstLine += 1;
    held = [bytes.subarray(end)];
    size = bytes.length - end;
  }
  if (size > 0) yield { bytes: Buffer.concat(held), firstLine };
}

/** The lines of a block of UTF-8 text. Throws a FacetError with the line for what is none. */
export function* blockLines(
  { bytes, firstLine }: LineBlock,
  path: string,
): Generator<{ text: string; line: number }> {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = firstLine === 1 ? markLength(block, path) : 0;
  // All lines are checked at once, which is fast; one by one they show which is wrong.
  const whole = isUtf8(block);
  for (let at = start, line = firstLine; at < block.length; line++) {
    const newline = block.indexOf(0x0a, at);
    const end = newline < 0 ? block.length : newline;
    if (!whole && !isUtf8(block.subarray(at, end))) {
      throw new FacetError(`${path}, line ${line}: not valid UTF-8. Save the file as UTF-8.`);
    }
    yield { text: block.toString("utf8", at, end), line };
    at = end + 1;
  }
}

/** The lines of a UTF-8 file, with or without a byte order mark, in order. Throws a FacetError with the line for what is none. */
export async function* fileLines(path: string): AsyncGenerator<{ text: string; line: number }> {
  for await (const block of lineBlocks(path, 1)) yield* blockLines(block, path);
}

/** The length of the byte order mark at the start of a file. Throws a FacetError for that of UTF-16. */
function markLength(block: Buffer, path: string): number {
  const mark = block.toString("hex", 0, 3);
  if (/^(fffe|feff)/.test(mark)) throw new FacetError(`${path} is UTF-16 text. Save it as UTF-8.`);
  return mark === "efbbbf" ? 3 : 0;
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
