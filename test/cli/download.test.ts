import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { startHub } from "../support/hub.js";
import { type HubServer, sha256 } from "../support/hubServer.js";
import { runFacet, startFacet, workFolder } from "./facet.js";

const folder = workFolder();
const weights = randomBytes(3_000_000);

/** A model that no one can open, but everyone download. */
function publishBig(server: HubServer): string {
  return server.publish("some/big", {
    "config.json": "{}",
    "model.safetensors": { bytes: weights, large: true },
  });
}

function publishTiny(server: HubServer): void {
  const read = (path: string) => readFileSync(join(folder, path));
  server.publish("some/tiny", {
    "config.json": { bytes: read("tiny/config.json") },
    "model.safetensors": { bytes: read("tiny/model.safetensors"), large: true },
    "tokenizer.model": { bytes: read("tiny/tokenizer.model"), large: true },
  });
  server.publish("datasets/some/rows", { "rows.jsonl": { bytes: read("rows.jsonl") } });
}

describe("facet download", () => {
  it("prints where the model is, and how it goes on stderr", async () => {
    const { server, home } = await startHub();
    const commit = publishBig(server);
    const { code, stdout, stderr } = await runFacet(["download", "some/big"], folder);
    const path = join(home, "huggingface/hub/models--some--big/snapshots", commit);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${path}\n` });
    expect(stderr).toMatch(/^Downloading some\/big 0\/4 {2}MB/);
    expect(stderr).toMatch(/Downloading some\/big 4\/4 {2}MB .* MB\/s/);
    const again = await runFacet(["download", "some/big", "--json"], folder);
    expect(JSON.parse(again.stdout)).toEqual({ name: "some/big", paths: [path] });
    expect(again.stderr).toBe("");
  });

  it("gets data sets", async () => {
    const { server } = await startHub();
    publishTiny(server);
    const { stdout } = await runFacet(["download", "--data", "some/rows"], folder);
    expect(readFileSync(stdout.trim())).toEqual(readFileSync(join(folder, "rows.jsonl")));
    const { stdout: same } = await runFacet(["download", "hf://datasets/some/rows"], folder);
    expect(same).toBe(stdout);
  });

  it.each([
    ["gemma_2b", /error: Unknown model "gemma_2b"\. Did you mean "gemma_2b_en"/],
    ["some/missing", /error: There is no model .*some\/missing/],
  ])("of %s fails with what to do", async (name, message) => {
    await startHub();
    const { code, stdout, stderr } = await runFacet(["download", name], folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
  });

  it("of a gated model names the page of its licence, and never prints a token", async () => {
    const { server } = await startHub();
    publishBig(server);
    server.gate("some/big", "Bearer hf_right");
    vi.stubEnv("HF_TOKEN", "hf_secret");
    const { code, stdout, stderr } = await runFacet(["download", "some/big"], folder);
    expect(code).toBe(1);
    expect(stderr).toContain(`open ${server.url}/some/big`);
    expect(stdout + stderr).not.toContain("hf_secret");
    const doctor = await runFacet(["doctor"], folder);
    expect(doctor.stdout).toMatch(/✓ Hugging Face token: from HF_TOKEN/);
    expect(doctor.stdout).not.toContain("hf_secret");
  });
});

describe("a download that is ended after half of a file", () => {
  const half = 1_500_000;

  /** Starts a download that stalls, and ends it when it has said so. */
  async function ended(server: HubServer, signal: NodeJS.Signals) {
    server.misfortunes.push({ path: new RegExp(sha256(weights)), times: 1, stallAfter: half });
    const running = startFacet(["download", "some/big"], folder);
    await running.says("1/4");
    running.process.kill(signal);
    return running.ended;
  }

  it.each([["SIGKILL"], ["SIGINT"]] as const)("by %s is continued there", async (signal) => {
    const { server, home } = await startHub();
    const commit = publishBig(server);
    const { code, signal: endedBy, stdout, stderr } = await ended(server, signal);
    if (signal === "SIGKILL") expect(endedBy).toBe("SIGKILL");
    else {
      expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
      expect(stderr).toContain("Stopped. What has arrived is kept");
    }
    const repository = join(home, "huggingface/hub/models--some--big");
    expect(readdirSync(join(repository, "blobs"))).not.toContain(sha256(weights));
    server.asked.length = 0;
    const next = await runFacet(["download", "some/big"], folder);
    expect(next.code).toBe(0);
    const range = server.asked.find(({ headers }) => headers.range)?.headers.range;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1]);
    expect(from).toBeGreaterThanOrEqual(1_000_000);
    expect(from).toBeLessThanOrEqual(half);
    const file = join(repository, "snapshots", commit, "model.safetensors");
    expect(readFileSync(file).equals(weights)).toBe(true);
    const names = readdirSync(join(repository, "blobs"));
    expect(names.filter((name) => /incomplete|version/.test(name))).toEqual([]);
  });
});

describe("commands that take a model or data download them", () => {
  it("finetune, and export of its adapter", async () => {
    const { server } = await startHub();
    publishTiny(server);
    const run = ["--run", "fromHub", "--threads", "1", "--sequence-length", "64"];
    const tuned = await runFacet(
      ["finetune", "--model", "some/tiny", "--data", "some/rows", "--max-steps", "2", ...run],
      folder,
    );
    expect({ code: tuned.code, stderr: tuned.stderr }).toEqual({ code: 0, stderr: tuned.stderr });
    const saved = JSON.parse(readFileSync(join(folder, "fromHub/run.json"), "utf8"));
    expect(saved.config).toMatchObject({ model: "some/tiny", data: ["some/rows"] });
    const peft = JSON.parse(
      readFileSync(join(folder, "fromHub/adapter/adapter_config.json"), "utf8"),
    );
    expect(peft.base_model_name_or_path).toBe("some/tiny");
    const exported = await runFacet(
      ["export", "--adapter", "fromHub/adapter", "--to", "mlx", "--out", "fromHub-mlx"],
      folder,
    );
    expect({ code: exported.code, stderr: exported.stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("evaluate, inspect and summary", async () => {
    const { server } = await startHub();
    publishTiny(server);
    const both = ["--model", "hf://some/tiny", "--data", "hf://datasets/some/rows/rows.jsonl"];
    const evaluated = await runFacet(["evaluate", ...both, "--limit", "2", "--json"], folder);
    expect(JSON.parse(evaluated.stdout).examples).toBe(2);
    const inspected = await runFacet(["inspect", ...both, "--json"], folder);
    expect(JSON.parse(inspected.stdout).rows).toBe(40);
    const summary = await runFacet(["summary", "--model", "some/tiny", "--json"], folder);
    expect(JSON.parse(summary.stdout).model).toBe("some/tiny");
  });
});
