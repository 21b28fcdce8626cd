import { renameSync, statfsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { FacetError } from "../errors.js";
import { type Checksum, checksumOf } from "./checksum.js";
import { claimPart, type Part } from "./part.js";
import { ask, backoff, networkError, pause, Unreachable } from "./request.js";

/** A file to be transferred. */
export interface Wanted {
  readonly url: string;
  /** Where the whole file appears, once its checksum is right. */
  readonly target: string;
  /** What errors call it. */
  readonly name: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Its size in bytes, where that is known beforehand. */
  readonly size?: number;
  /**
   * Its checksum, where that is known beforehand: then `target` is named for it, and a part of it is worth continuing
   * whoever began it.
   */
  readonly checksum?: Checksum;
  /** The checksum that the server states together with the file. */
  readonly statedChecksum?: (headers: Headers) => Checksum | undefined;
  /** The error for an answer that is no success. */
  readonly refusal: (response: Response) => Promise<FacetError> | FacetError;
}

export interface TransferHooks {
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
  /** Called with how many bytes are there, and how many there will be, where that is known. */
  readonly onBytes?: (done: number, total: number | undefined) => void;
}

export interface Transferred {
  /** The version of the file, as the server named it; undefined where it names none that can be relied on. */
  readonly validator: string | undefined;
}

/** How many times in a row a connection may break without having brought a byte. */
const PATIENCE = 6;
/** Milliseconds without a byte after which a connection is given up. */
const SILENCE_MS = 60_000;

/**
 * Downloads a file. Its bytes are collected beside the target, which appears only when all are there, their checksum
 * is right and they are on the disk. A connection that breaks is continued where it broke, and so is a download that
 * was stopped or killed, unless the file has changed in between. Throws Unreachable when the server is, a FacetError
 * for a checksum that is wrong (then the bytes are deleted), and the signal's reason.
 */
export async function transfer(wanted: Wanted, hooks: TransferHooks = {}): Promise<Transferred> {
  const part = claimPart(wanted.target);
  try {
    const file = await open(part.path, "a");
    let received: Received;
    try {
      received = await receive(wanted, part, file, hooks);
      await file.sync();
    } finally {
      await file.close();
    }
    const checksum = wanted.checksum ?? received.checksum;
    if (checksum !== undefined) await verify(wanted, part, checksum);
    renameSync(part.path, wanted.target);
    part.discard();
    return { validator: received.validator };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") throw diskFull(wanted, error);
    throw error;
  } finally {
    part.release();
  }
}

async function verify({ name }: Wanted, part: Part, { kind, hex }: Checksum): Promise<void> {
  const found = await checksumOf(part.path, kind);
  if (found === hex) return;
  part.discard();
  throw new FacetError(
    `${name} arrived damaged: its ${kind === "git" ? "git SHA-1" : kind} is ${found}, and should be ${hex}. What was downloaded of it is deleted; try again.`,
  );
}

interface Received extends Transferred {
  readonly checksum: Checksum | undefined;
}

/** Appends to the part until it is whole. */
async function receive(
  wanted: Wanted,
  part: Part,
  file: FileHandle,
  hooks: TransferHooks,
): Promise<Received> {
  const { signal, onBytes } = hooks;
  let done = (await file.stat()).size;
  // Without a checksum nothing but its version says what a part belongs to.
  let validator = wanted.checksum === undefined ? part.validator() : undefined;
  let checksum: Checksum | undefined;
  let failures = 0;
  if (done > 0 && wanted.checksum === undefined && validator === undefined) await startOver();
  if (wanted.size !== undefined && done > wanted.size) await startOver();
  onBytes?.(done, wanted.size);
  while (done !== wanted.size) {
    const before = done;
    try {
      const answer = await openAnswer(wanted, done, validator, hooks);
      if (answer.start !== done) await startOver();
      validator = answer.validator;
      checksum = wanted.statedChecksum?.(answer.headers) ?? checksum;
      if (wanted.checksum === undefined && validator !== undefined) part.setValidator(validator);
      requireSpace(wanted.target, (answer.total ?? done) - done);
      for await (const bytes of answer.body) {
        if (done + bytes.length > (answer.total ?? Number.POSITIVE_INFINITY)) {
          throw await spoilt(wanted, `more than its ${answer.total} bytes came`, startOver);
        }
        await file.appendFile(bytes);
        done += bytes.length;
        onBytes?.(done, answer.total);
      }
      if (answer.total === undefined || done === answer.total) break;
      throw new Error(`the connection was cut after ${done} of ${answer.total} bytes`);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FacetError || isDiskError(error)) throw error;
      failures = done > before ? 1 : failures + 1;
      if (failures >= PATIENCE) {
        throw new Unreachable(
          `${wanted.name} cannot be downloaded: ${networkError(error)}. The ${done} bytes that arrived are kept; try again later.`,
          { cause: error },
        );
      }
      await pause(backoff(failures), signal);
    }
  }
  return { validator, checksum };

  async function startOver(): Promise<void> {
    await file.truncate(0);
    done = 0;
    validator = undefined;
  }
}

interface Answer {
  /** The byte that the body begins with. */
  readonly start: number;
  /** Bytes of the whole file, where the server says so. */
  readonly total: number | undefined;
  readonly validator: string | undefined;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Asks for the bytes from `start` on. A server may give the whole file instead, and does when it has changed. */
async function openAnswer(
  wanted: Wanted,
  start: number,
  validator: string | undefined,
  { signal, onNotice }: TransferHooks,
): Promise<Answer> {
  const silence = silenceAlarm();
  const response = await ask(wanted.url, {
    headers: {
      ...wanted.headers,
      ...(start > 0 && { range: `bytes=${start}-` }),
      ...(start > 0 && validator !== undefined && { "if-range": validator }),
    },
    signal: signal === undefined ? silence.signal : AbortSignal.any([silence.signal, signal]),
    onNotice,
  });
  // The part is no part of the file as it is now.
  if (response.status === 416 && start > 0) {
    await response.body?.cancel();
    return openAnswer(wanted, 0, undefined, { signal, onNotice });
  }
  if (!response.ok || response.body === null) throw await wanted.refusal(response);
  const { headers } = response;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  const isPart = response.status === 206;
  if (isPart && Number(range?.[1]) !== start) {
    await response.body.cancel();
    throw new Error(`the server gives other bytes than those from ${start} on`);
  }
  // A server that compresses nevertheless states the size of something else.
  const length = headers.has("content-encoding") ? null : headers.get("content-length");
  const stated = isPart ? range![2]! : length;
  const total = stated === null || stated === "*" ? wanted.size : Number(stated);
  if (wanted.size !== undefined && total !== wanted.size) {
    await response.body.cancel();
    throw new FacetError(
      `${wanted.name} has ${total} bytes on the server, and should have ${wanted.size}. Try again later.`,
    );
  }
  return {
    start: isPart ? start : 0,
    total,
    validator: strongValidator(headers),
    headers,
    body: silence.watch(response.body),
  };
}

/** What If-Range takes: an ETag that promises equal bytes, or else the date of the last change. */
function strongValidator(headers: Headers): string | undefined {
  const etag = headers.get("etag");
  if (etag !== null && !etag.startsWith("W/")) return etag;
  return headers.get("last-modified") ?? undefined;
}

/** Gives a connection up when it brings nothing for a while. */
function silenceAlarm() {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    async *watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      const alarm = () => controller.abort(new Error(`nothing came for ${SILENCE_MS / 1000} s`));
      let timer = setTimeout(alarm, SILENCE_MS);
      try {
        for await (const bytes of body) {
          clearTimeout(timer);
          yield bytes;
          timer = setTimeout(alarm, SILENCE_MS);
        }
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function spoilt(
  { name }: Wanted,
  why: string,
  startOver: () => Promise<void>,
): Promise<FacetError> {
  await startOver();
  return new FacetError(
    `${name} arrived damaged: ${why}. What was downloaded of it is deleted; try again.`,
  );
}

/** Throws a FacetError unless the disk of `target` has room for so many bytes. */
export function requireSpace(target: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(target));
  const free = bavail * bsize;
  if (bytes <= free) return;
  const gigabytes = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
  throw new FacetError(
    `${dirname(target)} has ${gigabytes(free)} free; ${gigabytes(bytes)} are to be downloaded. Free some space, or choose another place with HF_HOME, KAGGLEHUB_CACHE or FACET_HOME.`,
  );
}

const isDiskError = (error: unknown) =>
  error instanceof Error &&
  "syscall" in error &&
  ["write", "ftruncate", "fsync"].includes(String(error.syscall));

const diskFull = ({ target, name }: Wanted, cause: unknown) =>
  new FacetError(
    `The disk of ${dirname(target)} is full. What arrived of ${name} is kept as ${basename(target)}….incomplete; free some space and try again.`,
    { cause },
  );
