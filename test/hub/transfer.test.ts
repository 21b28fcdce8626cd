import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { Unreachable } from "../../src/hub/request.js";
import { requireSpace, transfer, type Wanted } from "../../src/hub/transfer.js";
import { startHub } from "../support/hub.js";
import { gitSha, sha256 } from "../support/hubServer.js";
import { temporaryFolder } from "../support/modelFolder.js";

const content = randomBytes(300_000);
const path = "/file.bin";

/** A file on a service, and what is wanted of it. */
async function served(headers: Record<string, string> = { etag: '"v1"' }, bytes = content) {
  const { server } = await startHub();
  server.serve(path, { bytes }, headers);
  const folder = temporaryFolder();
  const target = join(folder, "target");
  const wanted: Wanted = {
    url: `${server.url}${path}`,
    target,
    name: "file.bin",
    refusal: ({ status }) => new FacetError(`refused with ${status}`),
  };
  const ranges = () => server.asked.map(({ headers }) => headers.range);
  return { server, folder, target, wanted, ranges };
}

const withSha = (wanted: Wanted): Wanted => ({
  ...wanted,
  size: content.length,
  checksum: { kind: "sha256", hex: sha256(content) },
});

describe("a transfer", () => {
  it("brings the file, and nothing else stays", async () => {
    const { wanted, target, folder } = await served();
    const progress: number[] = [];
    await transfer(withSha(wanted), { onBytes: (done) => progress.push(done) });
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(readdirSync(folder)).toEqual(["target"]);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(content.length);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  it("brings an empty file", async () => {
    const { wanted, target } = await served({}, Buffer.alloc(0));
    await transfer(wanted);
    expect(readFileSync(target).length).toBe(0);
  });

  it("goes on where the connection was cut, as long as the file is the same", async () => {
    const { server, wanted, target, ranges } = await served();
    const cuts = Array.from({ length: 5 }, () => 1 + Math.floor(Math.random() * 60_000));
    for (const cutAfter of cuts) server.misfortunes.push({ path: /file/, times: 1, cutAfter });
    await transfer(wanted);
    expect(readFileSync(target).equals(content), `cuts after ${cuts}`).toBe(true);
    expect(ranges()[0]).toBeUndefined();
    for (const { headers } of server.asked.filter(({ headers }) => headers.range)) {
      expect(headers["if-range"]).toBe('"v1"');
    }
    expect(ranges().filter(Boolean).length).toBeGreaterThan(0);
  });

  it("starts over when the server ignores ranges", async () => {
    const { server, wanted, target } = await served();
    server.misfortunes.push(
      { path: /file/, times: 1, cutAfter: 100_000 },
      { path: /file/, ignoreRange: true },
    );
    await transfer(withSha(wanted));
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  it("starts over when the file has changed in between", async () => {
    const { server, wanted, target } = await served();
    const changed = randomBytes(content.length);
    server.misfortunes.push({ path: /file/, times: 1, cutAfter: 100_000 });
    let isChanged = false;
    await transfer(wanted, {
      onBytes(done) {
        if (done === 0 || isChanged) return;
        isChanged = true;
        server.serve(path, { bytes: changed }, { etag: '"v2"' });
      },
    });
    expect(readFileSync(target).equals(changed)).toBe(true);
  });

  it("asks again after 429, as late as Retry-After says, and after 503", async () => {
    const { server, wanted, target } = await served();
    server.misfortunes.push(
      { path: /file/, times: 1, status: 429, headers: { "retry-after": "1" } },
      { path: /file/, times: 1, status: 503 },
    );
    const start = Date.now();
    await transfer(wanted);
    expect(Date.now() - start).toBeGreaterThan(1000);
    expect(existsSync(target)).toBe(true);
    expect(server.asked.length).toBe(3);
  });

  it("does not wait longer than ten minutes", async () => {
    const { server, wanted } = await served();
    server.misfortunes.push({ path: /file/, status: 429, headers: { "retry-after": "86400" } });
    await expect(transfer(wanted)).rejects.toThrow(/asks to wait 86400 s/);
    expect(server.asked.length).toBe(1);
  });

  it("gives a refusal to whoever asked, at once", async () => {
    const { server, wanted, target } = await served();
    server.misfortunes.push({ path: /file/, status: 403 });
    await expect(transfer(wanted)).rejects.toThrow("refused with 403");
    expect(server.asked.length).toBe(1);
    expect(existsSync(target)).toBe(false);
  });

  it("says that nothing answers", async () => {
    const { server, wanted } = await served();
    await server.close();
    await expect(transfer(wanted)).rejects.toThrow(Unreachable);
  }, 30_000);
});

it("a disk without room for a download is refused before it begins", () => {
  const target = join(temporaryFolder(), "target");
  requireSpace(target, 1000);
  expect(() => requireSpace(target, 2 ** 60)).toThrow(
    /GB free; 1152921504\.6 GB are to be downloaded/,
  );
});

describe("a checksum", () => {
  it("that is wrong deletes what came, and says so", async () => {
    const { server, wanted, folder } = await served();
    server.misfortunes.push({ path: /file/, corrupt: true });
    await expect(transfer(withSha(wanted))).rejects.toThrow(
      /file\.bin arrived damaged: its sha256 is [0-9a-f]{64}, and should be [0-9a-f]{64}\..*deleted/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it("may be that of a git blob", async () => {
    const { wanted, target } = await served();
    await transfer({ ...wanted, checksum: { kind: "git", hex: gitSha(content) } });
    expect(existsSync(target)).toBe(true);
  });

  it("may come with the file", async () => {
    const { wanted, folder } = await served({ etag: '"v1"', "x-md5": "0".repeat(32) });
    const statedChecksum = (headers: Headers) =>
      ({ kind: "md5", hex: headers.get("x-md5")! }) as const;
    await expect(transfer({ ...wanted, statedChecksum })).rejects.toThrow(/its md5 is/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not even computed for a file of another size than the list says", async () => {
    const { wanted, target } = await served();
    await expect(transfer({ ...withSha(wanted), size: 17 })).rejects.toThrow(
      /has 300000 bytes on the server, and should have 17/,
    );
    expect(existsSync(target)).toBe(false);
  });
});

it("whatever happens on the way, the file that appears is the right one", async () => {
  const misfortune = fc.oneof(
    fc.record({ cutAfter: fc.nat(content.length - 1) }),
    fc.record({ cutAfter: fc.nat(content.length - 1), ignoreRange: fc.constant(true) }),
    fc.record({ ignoreRange: fc.constant(true) }),
    fc.constant({ status: 503 }),
    fc.constant({ status: 429, headers: { "retry-after": "0" } }),
    fc.constant({ status: 416 }),
    fc.constant({ status: 404 }),
    fc.constant({ corrupt: true }),
  );
  const { server, wanted, target, folder } = await served();
  await fc.assert(
    fc.asyncProperty(fc.array(misfortune, { maxLength: 4 }), async (list) => {
      rmSync(target, { force: true });
      server.misfortunes.length = 0;
      server.misfortunes.push(...list.map((one) => ({ path: /file/, times: 1, ...one })));
      await transfer(withSha(wanted)).catch((error) => expect(error).toBeInstanceOf(FacetError));
      if (existsSync(target)) expect(readFileSync(target).equals(content)).toBe(true);
      server.misfortunes.length = 0;
      await transfer(withSha(wanted)).catch((error) =>
        // Damaged bytes of the first try may be found only now.
        expect(error.message).toContain("arrived damaged"),
      );
      await transfer(withSha(wanted));
      expect(readFileSync(target).equals(content)).toBe(true);
      expect(readdirSync(folder)).toEqual(["target"]);
    }),
    { numRuns: 12 },
  );
});

describe("a part that is here already", () => {
  /** A part as a process leaves it that was killed: no process has this id. */
  const leavePart = (folder: string, bytes: Buffer, pid = 2 ** 30, host = hostname()) => {
    const name = `target.${host.replace(/[^A-Za-z0-9-]/g, "-")}.${pid}.0123456789ab.incomplete`;
    writeFileSync(join(folder, name), bytes);
    return name;
  };

  it("is continued when the checksum says what it belongs to", async () => {
    const { wanted, target, folder, ranges } = await served();
    leavePart(folder, content.subarray(0, 123_456));
    await transfer(withSha(wanted));
    expect(ranges()).toEqual(["bytes=123456-"]);
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(readdirSync(folder)).toEqual(["target"]);
  });

  it("that is whole needs no request", async () => {
    const { server, wanted, target, folder } = await served();
    leavePart(folder, content);
    await transfer(withSha(wanted));
    expect(server.asked).toEqual([]);
    expect(existsSync(target)).toBe(true);
  });

  it("without a checksum is continued only as the version it was", async () => {
    const { server, wanted, target, folder, ranges } = await served();
    const name = leavePart(folder, content.subarray(0, 1000));
    writeFileSync(join(folder, name.replace("incomplete", "version")), '"v1"');
    await transfer(wanted);
    expect(ranges()).toEqual(["bytes=1000-"]);
    expect(server.asked[0]!.headers["if-range"]).toBe('"v1"');
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  it("of another version is thrown away", async () => {
    const { wanted, target, folder } = await served();
    const name = leavePart(folder, randomBytes(1000));
    writeFileSync(join(folder, name.replace("incomplete", "version")), '"v0"');
    await transfer(wanted);
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  it("of an unknown version is thrown away", async () => {
    const { wanted, target, folder, ranges } = await served();
    leavePart(folder, randomBytes(1000));
    await transfer(wanted);
    expect(ranges()).toEqual([undefined]);
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  it("that is longer than the file is thrown away", async () => {
    const { wanted, target, folder } = await served();
    leavePart(folder, randomBytes(content.length + 1));
    await transfer(withSha(wanted));
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  it("of a running process, or of another machine's, is left alone", async () => {
    const { wanted, folder, ranges } = await served();
    const running = leavePart(folder, content.subarray(0, 1000), 1);
    const foreign = leavePart(folder, content.subarray(0, 1000), 2 ** 30, "elsewhere");
    await transfer(withSha(wanted));
    expect(ranges()).toEqual([undefined]);
    expect(readdirSync(folder).sort()).toEqual([running, foreign, "target"].sort());
  });

  it("is left by a transfer that is stopped, and the next one continues it", async () => {
    const { server, wanted, target, folder, ranges } = await served();
    server.misfortunes.push({ path: /file/, times: 1, stallAfter: 100_000 });
    const stop = new AbortController();
    const stopped = transfer(withSha(wanted), {
      signal: stop.signal,
      onBytes: (done) => done >= 100_000 && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^target\..*\.incomplete$/)]);
    await transfer(withSha(wanted));
    expect(ranges()).toEqual([undefined, "bytes=100000-"]);
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  it("is not shared by two transfers of the same file at once", async () => {
    const { wanted, target, folder } = await served();
    await Promise.all([transfer(withSha(wanted)), transfer(withSha(wanted))]);
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(readdirSync(folder)).toEqual(["target"]);
  });
});
