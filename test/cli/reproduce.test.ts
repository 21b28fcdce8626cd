import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFacet, startFacet, workFolder } from "./facet.js";

const folder = workFolder();
const path = (...names: string[]) => join(folder, ...names);
const facet = (...args: string[]) => runFacet(args, folder);
cpSync(path("rows.jsonl"), path("own.jsonl"));
const args = [
  ...["finetune", "--model", "tiny", "--data", "own.jsonl", "--sequence-length", "64"],
  ...["--learning-rate", "0.01", "--dropout", "0.1", "--batch-size", "2", "--prompts", "Why?"],
  ...["--sample-length", "24", "--run", "first", "--threads", "1"],
];

describe("facet reproduce", () => {
  it("repeats a finished run bit for bit, though it was killed and resumed", async () => {
    const running = startFacet([...args, "--save-every", "3"], folder);
    await running.says("Training 6/20");
    running.process.kill("SIGKILL");
    await running.ended;
    const early = await facet("reproduce", "first");
    expect(early.stderr).toMatch(/error: The run in .*first is not finished/);
    // The threads are those of the start.
    expect((await facet("finetune", "--resume", "--run", "first")).code).toBe(0);

    const { code, stdout, stderr } = await facet("reproduce", "first/run.json", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      run: path("first"),
      repeated: path("first-reproduced"),
      identical: true,
      first_difference: null,
      versions: [],
    });
    const names = result.files.map(({ name }: { name: string }) => name);
    expect(names).toContain("adapter_model.safetensors");
    const adapter = (run: string) =>
      readFileSync(path(run, "adapter", "adapter_model.safetensors"));
    expect(adapter("first-reproduced").equals(adapter("first"))).toBe(true);
  });

  it("says which file and which step differ, with exit code 1", async () => {
    const saved = JSON.parse(readFileSync(path("first", "run.json"), "utf8"));
    saved.config.learningRate = 0.02;
    saved.versions.node = "v1.2.3";
    cpSync(path("first"), path("changed"), { recursive: true });
    writeFileSync(path("changed", "run.json"), JSON.stringify(saved));
    const { code, stdout } = await facet("reproduce", "changed", "--run", "again");
    expect(code).toBe(1);
    expect(stdout).toMatch(/adapter_model\.safetensors +differs/);
    // The first step's loss is that of the same adapter.
    expect(stdout).toMatch(/First difference +the loss or the gradient of step 2/);
    expect(stdout).toMatch(/Version of node +v1\.2\.3, now v\d/);
    expect(stdout).toMatch(/Result +not reproduced/);
  });

  it("refuses a run that was computed with two numbers of threads", async () => {
    const running = startFacet([...args.map((a) => (a === "first" ? "two" : a))], folder);
    await running.says("Training 6/20");
    running.process.kill("SIGINT");
    await running.ended;
    await facet("finetune", "--resume", "--run", "two", "--threads", "2");
    const { code, stderr } = await facet("reproduce", "two");
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: .*two was resumed with another --threads/);
  });

  it("refuses other data and another model before it trains", async () => {
    writeFileSync(
      path("own.jsonl"),
      readFileSync(path("own.jsonl"), "utf8").replace("many", "few"),
    );
    const config = JSON.parse(readFileSync(path("tiny", "config.json"), "utf8"));
    writeFileSync(path("tiny", "config.json"), JSON.stringify({ ...config, rope_theta: 9000 }));
    const { code, stderr } = await facet("reproduce", "first", "--run", "refused");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /error: .*first cannot be repeated: the data, the base model's config\.json have changed since/,
    );
  });

  it.each([
    ["nothing", /error: There is no run in .*nothing: it has no run\.json/],
    [
      "peft/adapter_config.json",
      /error: peft\/adapter_config\.json is not that of a fine-tuning run/,
    ],
  ])("refuses %s", async (name, message) => {
    expect((await facet("reproduce", name)).stderr).toMatch(message);
  });
});
