import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFacet, startFacet, workFolder } from "./facet.js";

const folder = workFolder();
const sentences = Array.from(
  { length: 300 },
  (_, i) => `Ship ${i} left the harbour at ${i % 24} and came back with ${i % 7} boxes of tea.`,
);
writeFileSync(join(folder, "corpus.txt"), sentences.join("\n\n\n"));
const small = [
  ...["--config", "tiny/config.json", "--tokenizer", "tiny/tokenizer.model"],
  ...["--text", "corpus.txt", "--sequence-length", "16", "--batch-size", "4"],
  ...["--held-out", "0.1", "--warmup-steps", "2", "--dtype", "float32"],
];
const pretrain = (...args: string[]) => runFacet(["pretrain", ...args], folder);
const weights = (run: string) => readFileSync(join(folder, run, "model", "model.safetensors"));

describe("facet pretrain", () => {
  it("trains a model that the other commands take", async () => {
    const { code, stdout, stderr } = await pretrain(
      ...small,
      "--steps",
      "20",
      "--run",
      "a",
      "--json",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ status: "finished", steps: 20 });
    expect(result.held_out.loss).toBeLessThan(Math.log(512));
    expect(stderr).toMatch(/Text: [\d,]+ tokens, [\d,]+ held out/);
    expect(stderr).toContain("Training 20/20  loss ");
    const generated = await runFacet(
      ["generate", "--model", result.model, "--prompt", "Ship"],
      folder,
    );
    expect(generated.code).toBe(0);
    expect(generated.stdout).toMatch(/^Ship/);
  });

  it("goes on exactly after Ctrl-C", async () => {
    const long = [...small, "--steps", "400", "--save-every", "1000"];
    expect((await pretrain(...long, "--run", "whole")).code).toBe(0);
    const running = startFacet(["pretrain", ...long, "--run", "parts", "--json"], folder);
    await running.says("Training 40/400");
    running.process.kill("SIGINT");
    const ended = await running.ended;
    expect(ended.code).toBe(130);
    const { status, steps } = JSON.parse(ended.stdout);
    expect(status).toBe("interrupted");
    expect(ended.stderr).toContain("npx facet pretrain --resume --run parts");
    expect(
      existsSync(join(folder, "parts", "checkpoints", `step-${String(steps).padStart(6, "0")}`)),
    ).toBe(true);

    const resumed = await pretrain("--resume", "--run", "parts", "--json");
    expect(JSON.parse(resumed.stdout)).toMatchObject({ status: "finished", steps: 400 });
    expect(weights("parts").equals(weights("whole"))).toBe(true);
  });

  it.each([
    [["--steps", "5", "--text", "nowhere.txt"], "nowhere.txt"],
    [["--steps", "5", "--config", "rows.jsonl"], "rows.jsonl"],
    [["--steps", "5", "--held-out", "0"], 'error: Invalid --held-out "0"'],
    [[], "error: required option --steps not given"],
    [["--resume", "--steps", "9"], "--resume continues a run with the options it was started with"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await pretrain(...small, "--run", "bad", ...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
