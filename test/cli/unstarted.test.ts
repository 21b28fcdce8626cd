import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { runFacet, startFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
const path = (...names: string[]) => join(folder, ...names);

describe("a run that needs more memory than there is", () => {
  const rows = 512;
  // The activations of 4 million tokens need more than 50 GiB, even of so small a model.
  const config = JSON.parse(readFileSync(path("tiny", "config.json"), "utf8"));
  cpSync(path("tiny"), path("far"), { recursive: true });
  writeFileSync(
    path("far", "config.json"),
    JSON.stringify({ ...config, max_position_embeddings: 8192 }),
  );
  writeRows(
    path("long.jsonl"),
    Array.from({ length: rows }, (_, i) => ({
      instruction: `${i}?`,
      response: "Zq7 ".repeat(4000),
    })),
  );
  const huge = [
    ...["finetune", "--model", "far", "--data", "long.jsonl", "--run", "huge"],
    ...["--sequence-length", "8192", "--batch-size", String(rows)],
  ];

  it("is refused before anything is computed, and leaves no folder", async () => {
    const { code, stdout, stderr } = await runFacet([...huge, "--json"], folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /^error: This run needs about [\d.]+ GiB besides 0\.00 GiB of mapped weights, and [\d.]+ GiB are free\. Use a smaller --batch-size or --sequence-length, or --recompute\.$/m,
    );
    expect(stderr).toMatch(/Memory: about [\d.]+ GiB/);
    expect(stderr).not.toContain("Training 1/");
    expect(existsSync(path("huge"))).toBe(false);
  });

  it("is not refused when it is cut into small micro-batches", async () => {
    const small = ["--sequence-length", "64", "--micro-batch-size", "2", "--max-steps", "1"];
    const { code, stderr } = await runFacet([...huge, ...small], folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr });
  });
});

const pretraining = [
  ...["pretrain", "--config", "shape.json", "--tokenizer", "tiny/tokenizer.model"],
  ...["--held-out", "0.1", "--sequence-length", "16", "--batch-size", "4"],
];

describe("a new pre-training run that fails", () => {
  it.each([
    ["nowhere.txt", "nowhere.txt"],
    ["short.txt", "Give more text or another fraction"],
  ])("for want of text in %s leaves no folder", async (text, message) => {
    writeFileSync(path("shape.json"), readFileSync(path("tiny", "config.json")));
    writeFileSync(path("short.txt"), "Short.");
    const { code, stdout, stderr } = await runFacet(
      [...pretraining, "--text", text, "--steps", "5", "--run", `no-${text}`, "--json"],
      folder,
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^error: /m);
    expect(stderr).toContain(message);
    expect(existsSync(path(`no-${text}`))).toBe(false);
  });
});

describe("a pre-training run whose inputs have changed", () => {
  const corpus = Array.from(
    { length: 200 },
    (_, i) => `Ship ${i} came with ${i % 7} boxes of tea.`,
  );
  const inputs: Record<string, string | Buffer> = {
    "corpus.txt": corpus.join("\n\n\n"),
    "shape.json": readFileSync(path("tiny", "config.json")),
    "tiny/tokenizer.model": readFileSync(path("tiny", "tokenizer.model")),
  };
  const restore = () => {
    for (const [name, data] of Object.entries(inputs)) writeFileSync(path(name), data);
  };
  restore();
  afterEach(restore);

  it("was interrupted", async () => {
    const start = [
      ...pretraining,
      "--text",
      "corpus.txt",
      "--steps",
      "150",
      "--save-every",
      "3",
      "--run",
      "moved",
    ];
    const running = startFacet(start, folder);
    await running.says("Training 15/150");
    running.process.kill("SIGKILL");
    expect((await running.ended).signal).toBe("SIGKILL");
  });

  it.each([
    ["corpus.txt", Buffer.from("tea"), Buffer.from("ale")],
    ["shape.json", Buffer.from('_embeddings": 256'), Buffer.from('_embeddings": 128')],
    ["tiny/tokenizer.model", Buffer.from("the"), Buffer.from("thi")],
  ])("%s: it is not resumed", async (name, from, to) => {
    const changed = Buffer.from(inputs[name]!);
    const place = changed.indexOf(from);
    expect(place).toBeGreaterThan(-1);
    to.copy(changed, place);
    writeFileSync(path(name), changed);
    const { code, stdout, stderr } = await runFacet(
      ["pretrain", "--resume", "--run", "moved"],
      folder,
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /error: The text, the tokenizer or the config\.json of .*moved has changed since the run started/,
    );
    expect(existsSync(path("moved", "checkpoints"))).toBe(true);
  });

  it("is resumed when they are as they were", async () => {
    const { code, stderr } = await runFacet(["pretrain", "--resume", "--run", "moved"], folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr });
  });
});
