import { randomBytes } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { DownloadProgress } from "../../src/hub/download.js";
import { snapshot } from "../../src/hub/huggingFace.js";
import { chooseFile, chooseModel } from "../../src/hub/modelChoice.js";
import { startHub } from "../support/hub.js";
import { gitSha, type HubServer, sha256 } from "../support/hubServer.js";

const name = "google/gemma-2b";
const repository = { type: "model", name } as const;
const request = { repository, revision: "main", choose: chooseModel };

const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const large = (size: number) => ({ bytes: randomBytes(size), large: true });
const files = {
  ".gitattributes": "*.safetensors filter=lfs",
  "README.md": "# Gemma",
  "config.json": '{"model_type": "gemma"}',
  "gemma-2b.gguf": large(1000),
  "model.safetensors.index.json": JSON.stringify({
    weight_map: { a: shards[0], b: shards[1], c: shards[1] },
  }),
  [shards[0]!]: large(200_000),
  [shards[1]!]: large(300_000),
  "pytorch_model.bin": large(1000),
  "tokenizer.model": large(5000),
  "tokenizer_config.json": "{}",
};
const wanted = [
  "config.json",
  ...shards,
  "model.safetensors.index.json",
  "tokenizer.model",
  "tokenizer_config.json",
];

async function published(content: typeof files = files) {
  const { server, home } = await startHub();
  const commit = server.publish(name, content);
  const folder = join(home, "huggingface", "hub", "models--google--gemma-2b");
  return { server, commit, folder };
}

const filesAsked = (server: HubServer) =>
  server.asked
    .filter(({ path }) => path.includes("/resolve/"))
    .map(({ path }) => path.split("/").at(-1));

describe("a model of Hugging Face", () => {
  it("is downloaded into the cache as Python's huggingface_hub lays it out", async () => {
    const { server, commit, folder } = await published();
    const { folder: found } = await snapshot(request, {});
    expect(found).toBe(join(folder, "snapshots", commit));
    expect(readdirSync(found).sort()).toEqual([...wanted].sort());
    expect(readFileSync(join(folder, "refs", "main"), "utf8")).toBe(commit);
    const { bytes } = files[shards[1]!] as { bytes: Buffer };
    expect(readlinkSync(join(found, shards[1]!))).toBe(`../../blobs/${sha256(bytes)}`);
    expect(readlinkSync(join(found, "config.json"))).toBe(
      `../../blobs/${gitSha(Buffer.from(files["config.json"]))}`,
    );
    expect(readFileSync(join(found, shards[1]!)).equals(bytes)).toBe(true);
    const tree = JSON.parse(readFileSync(join(folder, "trees", `${commit}.json`), "utf8"));
    expect(tree.format_version).toBe(1);
    expect(Object.keys(tree.files).sort()).toEqual(Object.keys(files).sort());
    expect(tree.files[shards[1]!]).toMatchObject({ lfs_sha256: sha256(bytes), lfs_size: 300_000 });
    expect(filesAsked(server).sort()).toEqual([...wanted].sort());
  });

  it("is asked for with the token, which the host of large files does not get", async () => {
    const { server } = await published();
    vi.stubEnv("HF_TOKEN", "hf_secret");
    server.gate(name, "Bearer hf_secret");
    await snapshot(request, {});
    for (const { host, headers } of server.asked) {
      const isService = server.url.endsWith(host);
      expect(headers.authorization).toBe(isService ? "Bearer hf_secret" : undefined);
    }
    expect(server.asked.some(({ host }) => server.cdn.endsWith(host))).toBe(true);
  });

  it("says how far it is", async () => {
    await published();
    const seen: DownloadProgress[] = [];
    await snapshot(request, { onProgress: (progress) => seen.push(progress) });
    const last = seen.at(-1)!;
    expect(last).toMatchObject({ name, done: last.total, filesDone: last.files });
    expect(last.total).toBeGreaterThan(500_000);
  });

  it("is one commit even if somebody publishes another meanwhile", async () => {
    const { server, commit } = await published();
    let isPublished = false;
    const found = await snapshot(request, {
      onProgress() {
        if (isPublished) return;
        isPublished = true;
        server.publish(name, { ...files, "tokenizer_config.json": '{"new": true}' });
      },
    });
    expect(found.commit).toBe(commit);
    expect(readFileSync(join(found.folder, "tokenizer_config.json"), "utf8")).toBe("{}");
  });
});

describe("what is in the cache", () => {
  it("is not asked for again: of a commit nothing, of a branch what it stands for", async () => {
    const { server, commit } = await published();
    await snapshot(request, {});
    server.asked.length = 0;
    await snapshot({ ...request, revision: commit }, {});
    expect(server.asked).toEqual([]);
    await snapshot(request, {});
    expect(server.asked.map(({ path }) => path.split("?")[0])).toEqual([
      `/api/models/${name}/revision/main`,
    ]);
  });

  it("is shared by commits: only what has changed is downloaded", async () => {
    const { server } = await published();
    await snapshot(request, {});
    server.asked.length = 0;
    const commit = server.publish(name, { ...files, "config.json": '{"model_type": "gemma2"}' });
    expect((await snapshot(request, {})).commit).toBe(commit);
    expect(filesAsked(server)).toEqual(["config.json"]);
  });

  it("is used when nothing answers, and that is said", async () => {
    const { server, commit } = await published();
    await snapshot(request, {});
    await server.close();
    const notices: string[] = [];
    const found = await snapshot(request, { onNotice: (text) => notices.push(text) });
    expect(found.commit).toBe(commit);
    expect(notices.join()).toMatch(
      /cannot be reached .*Using google\/gemma-2b as it was downloaded/,
    );
  });

  it("is used when requests are forbidden", async () => {
    const { server, commit } = await published();
    await snapshot(request, {});
    server.asked.length = 0;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect((await snapshot(request, {})).commit).toBe(commit);
    await expect(snapshot({ ...request, revision: "other" }, {})).rejects.toThrow(
      /is not on this machine as a whole.*HF_HUB_OFFLINE/,
    );
    expect(server.asked).toEqual([]);
  });

  it("is looked up anew where the list of files is damaged", async () => {
    const { commit, folder } = await published();
    await snapshot(request, {});
    const path = join(folder, "trees", `${commit}.json`);
    const list = readFileSync(path, "utf8");
    const other = JSON.parse(list);
    other.files = { "../evil": { size: 1, blob_id: "0".repeat(40) } };
    for (const damaged of [list.slice(0, 100), '{"format_version": 2}', JSON.stringify(other)]) {
      writeFileSync(path, damaged);
      expect((await snapshot({ ...request, revision: commit }, {})).files.length).toBe(6);
      expect(readFileSync(path, "utf8")).toBe(list);
    }
  });

  it("may be there only in part: then the rest is downloaded, and offline nothing is used", async () => {
    const { server } = await published();
    await snapshot({ ...request, choose: chooseFile("config.json") }, {});
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(snapshot(request, {})).rejects.toThrow(/not on this machine as a whole/);
    vi.stubEnv("HF_HUB_OFFLINE", "");
    server.asked.length = 0;
    const { folder } = await snapshot(request, {});
    expect(readdirSync(folder).sort()).toEqual([...wanted].sort());
    expect(filesAsked(server)).not.toContain("config.json");
  });

  it("may come from Python tools that keep no lists of files", async () => {
    const { folder } = await published();
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const place = (path: string, content: string | Buffer) => {
      const blob = join(folder, "blobs", gitSha(Buffer.from(content)));
      const link = join(folder, "snapshots", commit, path);
      for (const file of [blob, link]) mkdirSync(dirname(file), { recursive: true });
      writeFileSync(blob, content);
      symlinkSync(`../../blobs/${gitSha(Buffer.from(content))}`, link);
    };
    mkdirSync(join(folder, "refs"), { recursive: true });
    writeFileSync(join(folder, "refs", "main"), commit);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    place("config.json", files["config.json"]);
    place("model.safetensors.index.json", files["model.safetensors.index.json"] as string);
    place(shards[0]!, "one");
    await expect(snapshot(request, {})).rejects.toThrow(/not on this machine as a whole/);
    place(shards[1]!, "two");
    expect((await snapshot(request, {})).commit).toBe(commit);
  });

  it("is downloaded again where a file has not the size that it should", async () => {
    const { folder } = await published();
    await snapshot(request, {});
    const { bytes } = files[shards[0]!] as { bytes: Buffer };
    const blob = join(folder, "blobs", sha256(bytes));
    writeFileSync(blob, "damaged");
    const { folder: found } = await snapshot(request, {});
    expect(readFileSync(join(found, shards[0]!)).equals(bytes)).toBe(true);
    expect(lstatSync(join(found, shards[0]!)).isSymbolicLink()).toBe(true);
  });
});

describe("a download that fails", () => {
  it("leaves no snapshot that could be taken for a model, and goes on the next time", async () => {
    const { server, folder } = await published();
    const { bytes } = files[shards[1]!] as { bytes: Buffer };
    server.misfortunes.push({ path: new RegExp(sha256(bytes)), corrupt: true, times: 1 });
    await expect(snapshot(request, {})).rejects.toThrow(/model-00002.*arrived damaged/);
    expect(readdirSync(join(folder, "blobs"))).not.toContain(sha256(bytes));
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(snapshot(request, {})).rejects.toThrow(/not on this machine as a whole/);
    vi.stubEnv("HF_HUB_OFFLINE", "");
    server.asked.length = 0;
    const { folder: found } = await snapshot(request, {});
    expect(readFileSync(join(found, shards[1]!)).equals(bytes)).toBe(true);
    expect(filesAsked(server)).toContain(shards[1]);
    expect(filesAsked(server)).not.toContain("config.json");
  });

  it("because the licence is not accepted says where to accept it and how to give a token", async () => {
    const { server } = await published();
    server.gate(name, "Bearer hf_right");
    const page = `${server.url}/google/gemma-2b`;
    await expect(snapshot(request, {})).rejects.toThrow(
      new RegExp(`open ${page}, accept it, get a token at .*/settings/tokens and set HF_TOKEN`),
    );
    vi.stubEnv("HF_TOKEN", "hf_other");
    const error = await snapshot(request, {}).catch((error) => error);
    expect(error.message).toContain(`The token of HF_TOKEN may not read ${name}: open ${page}`);
    expect(error.message).not.toContain("hf_other");
  });

  it("because the host of large files refuses does not blame the licence", async () => {
    const { server } = await published();
    server.misfortunes.push({ path: /signature/, status: 403 });
    await expect(snapshot(request, {})).rejects.toThrow(
      new RegExp(`^${server.cdn}, which ${server.url}/google/gemma-2b leads to, answers 403`),
    );
  });

  it("because the token is unknown says which", async () => {
    const { server } = await published();
    vi.stubEnv("HF_TOKEN", "hf_old");
    server.misfortunes.push({
      path: /api/,
      status: 401,
      headers: { "x-error-message": "Invalid credentials in Authorization header" },
    });
    await expect(snapshot(request, {})).rejects.toThrow(/does not know the token of HF_TOKEN/);
  });

  it("because there is no such repository names it, and the preset that is like it", async () => {
    await published();
    const missing = {
      ...request,
      repository: { type: "model", name: "google/gemma-2-2" },
    } as const;
    const error =
      /There is no model .*\/google\/gemma-2-2.* Did you mean the preset gemma2_2b_en\?/;
    await expect(snapshot(missing, {})).rejects.toThrow(error);
    vi.stubEnv("HF_TOKEN", "hf_some");
    await expect(snapshot(missing, {})).rejects.toThrow(error);
  });

  it("because there is no such revision says so", async () => {
    await published();
    await expect(snapshot({ ...request, revision: "v9" }, {})).rejects.toThrow(
      /gemma-2b has no revision "v9"/,
    );
  });

  it("because it is no model lists what there is", async () => {
    const { server } = await published();
    server.publish(name, { "config.json": "{}", "model-q8.gguf": large(10) });
    await expect(snapshot(request, {})).rejects.toThrow(
      /neither model\.safetensors nor .*For one of its GGUF files write .*model-q8\.gguf/,
    );
  });

  it.each(["../../escape", "/etc/passwd", "a/../../b", "con\u0000fig.json", "a\\..\\b"])(
    "because the service lists %j writes nothing",
    async (path) => {
      const { server } = await published();
      server.publish(name, { ...files, [path]: "evil" });
      await expect(snapshot(request, {})).rejects.toThrow(/lists a file that cannot be downloaded/);
    },
  );

  it("because an index names a file outside says so", async () => {
    const { server } = await published();
    server.publish(name, {
      ...files,
      "model.safetensors.index.json": JSON.stringify({ weight_map: { a: "../evil.safetensors" } }),
    });
    await expect(snapshot(request, {})).rejects.toThrow(/evil\.safetensors.* is not the name of/);
  });

  it("because the answer is not that of the service says what was asked", async () => {
    const { server } = await published();
    server.serve(`/api/models/${name}/revision/main`, "<html>Log in to the Wi-Fi</html>");
    await expect(snapshot(request, {})).rejects.toThrow(/gemma-2b cannot be looked up/);
  });
});
