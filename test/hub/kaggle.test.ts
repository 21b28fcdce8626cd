import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { kaggleModel } from "../../src/hub/kaggle.js";
import { startHub } from "../support/hub.js";
import { tarFile } from "../support/tarFile.js";

const handle = { owner: "keras", model: "gemma", framework: "keras", variation: "gemma_2b_en" };
const third = { ...handle, version: 3 };
const path = "/api/v1/models/keras/gemma/keras/gemma_2b_en/3/download";
const weights = randomBytes(200_000);
const honest = [
  { path: "./", type: "Directory" as const },
  { path: "./config.json", bytes: Buffer.from("{}") },
  { path: "./model.weights.h5", bytes: weights },
  { path: "./assets/tokenizer/vocabulary.spm", bytes: Buffer.from("spm") },
];

async function served(entries: Parameters<typeof tarFile>[0] = honest) {
  const { server, home } = await startHub();
  const bytes = gzipSync(tarFile(entries));
  const md5 = createHash("md5").update(bytes).digest("base64");
  const serve = (hash = `crc32c=AAAAAA==,md5=${md5}`) =>
    server.serve(path, { bytes, large: true }, { "x-goog-hash": hash });
  serve();
  const folder = join(home, "kagglehub/models/keras/gemma/keras/gemma_2b_en/3");
  return { server, home, folder, serve, bytes };
}

describe("a model of Kaggle", () => {
  it("is unpacked into the cache as Python's kagglehub lays it out", async () => {
    const { folder } = await served();
    expect(await kaggleModel(third, {})).toBe(folder);
    expect(readFileSync(join(folder, "model.weights.h5")).equals(weights)).toBe(true);
    expect(readFileSync(join(folder, "assets/tokenizer/vocabulary.spm"), "utf8")).toBe("spm");
    expect(readdirSync(dirname(folder)).sort()).toEqual(["3", "3.complete"]);
  });

  it("is not asked for again", async () => {
    const { server, folder } = await served();
    await kaggleModel(third, {});
    server.asked.length = 0;
    expect(await kaggleModel(third, {})).toBe(folder);
    expect(server.asked).toEqual([]);
  });

  it("is the newest version where none is given", async () => {
    const { server, folder } = await served();
    server.serve("/api/v1/models/keras/gemma/keras/gemma_2b_en/get", '{"versionNumber": 3}');
    expect(await kaggleModel({ ...handle, version: undefined }, {})).toBe(folder);
    server.serve("/api/v1/models/keras/gemma/keras/gemma_2b_en/get", "{}");
    await expect(kaggleModel({ ...handle, version: undefined }, {})).rejects.toThrow(
      /Give one: kaggle:\/\/keras\/gemma\/keras\/gemma_2b_en\/1/,
    );
  });

  it("goes on where the connection was cut", async () => {
    const { server, folder, bytes } = await served();
    const storage = /\?x$/;
    server.misfortunes.push({
      path: storage,
      times: 1,
      cutAfter: Math.floor(Math.random() * bytes.length),
    });
    await kaggleModel(third, {});
    expect(readFileSync(join(folder, "model.weights.h5")).equals(weights)).toBe(true);
  });

  it("without the mark of completeness, as a killed kagglehub leaves it, is downloaded anew", async () => {
    const { folder } = await served();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), '{"half": true}');
    await kaggleModel(third, {});
    expect(readFileSync(join(folder, "config.json"), "utf8")).toBe("{}");
  });

  it("is asked for with the credentials, which the host of the archive does not get", async () => {
    const { server } = await served();
    vi.stubEnv("KAGGLE_API_TOKEN", "secret");
    server.gate(path, "Bearer secret");
    await kaggleModel(third, {});
    const seen = server.asked.map(({ host, headers }) => [
      server.url.endsWith(host),
      headers.authorization,
    ]);
    expect(seen).toEqual([
      [true, "Bearer secret"],
      [false, undefined],
    ]);
  });

  it("whose licence is not accepted says where to accept it and how to give credentials", async () => {
    const { server } = await served();
    server.gate(path, "Bearer right");
    const page = "https://www\\.kaggle\\.com/models/keras/gemma/keras/gemma_2b_en/3";
    await expect(kaggleModel(third, {})).rejects.toThrow(
      new RegExp(`open ${page}.*KAGGLE_API_TOKEN`),
    );
    vi.stubEnv("KAGGLE_API_TOKEN", "other");
    await expect(kaggleModel(third, {})).rejects.toThrow(
      new RegExp(`credentials of KAGGLE_API_TOKEN may not read .*open ${page}`),
    );
  });

  it("that does not exist says so", async () => {
    await served();
    await expect(kaggleModel({ ...third, version: 9 }, {})).rejects.toThrow(
      /There is no model .*\/9/,
    );
  });

  it("whose archive has another checksum than stated is not unpacked", async () => {
    const { serve, folder } = await served();
    serve(`md5=${"A".repeat(22)}==`);
    await expect(kaggleModel(third, {})).rejects.toThrow(/arrived damaged: its md5 is/);
    expect(existsSync(folder)).toBe(false);
    expect(readdirSync(dirname(folder))).toEqual([]);
  });

  it("is not asked for when requests are forbidden", async () => {
    const { server } = await served();
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(kaggleModel(third, {})).rejects.toThrow(/not on this machine/);
    expect(server.asked).toEqual([]);
  });
});

describe("an archive", () => {
  it.each([
    [
      "a path out of the folder",
      [{ path: "../evil", bytes: Buffer.from("x") }],
      /does not stay in the folder/,
    ],
    [
      "an absolute path",
      [{ path: "/tmp/evil", bytes: Buffer.from("x") }],
      /does not stay in the folder/,
    ],
    [
      "a path of Windows",
      [{ path: "..\\evil", bytes: Buffer.from("x") }],
      /does not stay in the folder/,
    ],
    [
      "a link",
      [{ path: "a", type: "SymbolicLink" as const, linkpath: "/etc/passwd" }],
      /is a SymbolicLink/,
    ],
    ["a hard link", [{ path: "a", type: "Link" as const, linkpath: "../../b" }], /is a Link/],
    ["a device", [{ path: "a", type: "CharacterDevice" as const }], /is a CharacterDevice/],
    ["a file larger than the disk", [{ path: "a", size: 2 ** 50 }], /no room|truncated|TAR_/i],
  ])("with %s is refused, and nothing of it stays", async (_, bad, message) => {
    const { folder, home } = await served([...honest, ...bad]);
    await expect(kaggleModel(third, {})).rejects.toThrow(message);
    expect(readdirSync(dirname(folder))).toEqual([]);
    expect(existsSync(join(home, "kagglehub/models/keras/gemma/keras/gemma_2b_en/evil"))).toBe(
      false,
    );
  });

  it.each([
    ["cut short", gzipSync(tarFile(honest)).subarray(0, 1000)],
    ["no archive", Buffer.from("<html>Sign in</html>".repeat(100))],
  ])("that is %s is refused", async (_, bytes) => {
    const { server, folder } = await served();
    server.serve(path, { bytes });
    await expect(kaggleModel(third, {})).rejects.toThrow(/cannot be unpacked/);
    expect(readdirSync(dirname(folder))).toEqual([]);
  });
});
