import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../src/random.js";
import { type Ended, runFacet, startFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
const path = (...names: string[]) => join(folder, ...names);
const read = (...names: string[]) => readFileSync(path(...names));

/** Sums are split among threads, so a run is repeated exactly with as many as it had. */
const threads = ["--threads", "1"];

const lastStep = (run: string) => {
  const file = path(run, "metrics.jsonl");
  return existsSync(file)
    ? Number(/.*"step":(\d+),/s.exec(read(run, "metrics.jsonl").toString())?.[1] ?? 0)
    : 0;
};

/** Starts the command and kills it, as `kill -9` does, as soon as it has logged this step. */
async function killAt(step: number, args: readonly string[], run: string): Promise<Ended> {
  const { process: child, ended } = startFacet(args, folder);
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over && lastStep(run) < step) await sleep(1);
  child.kill("SIGKILL");
  return ended;
}

/** Starts a run, kills and resumes it at these many random steps, and resumes it until it ends. */
async function killRepeatedly(args: readonly string[], run: string, kills: number, steps: number) {
  const random = createRandom({ seed: 9, stream: "order" });
  const [command] = args as [string];
  const resume = [command, "--resume", "--run", run, ...threads];
  // The first one comes before any checkpoint, so that a run is resumed from its very beginning too.
  const stretch = Math.floor(steps / kills);
  const at = [
    1,
    ...Array.from({ length: kills - 1 }, (_, i) => (i + 1) * stretch + random.below(stretch)),
  ];
  for (const [i, step] of at.entries()) {
    const { signal } = await killAt(step, i === 0 ? [...args, "--run", run] : resume, run);
    expect(signal, `kill at step ${step}`).toBe("SIGKILL");
  }
  const { code, stderr } = await runFacet(resume, folder);
  expect({ code, stderr }).toEqual({ code: 0, stderr });
}

/** metrics.jsonl without what depends on the clock. */
const metrics = (run: string) =>
  read(run, "metrics.jsonl")
    .toString()
    .replaceAll(/"(tokens_per_second|memory)":[^,}]*/g, "");

function expectNoLeftovers(run: string) {
  for (const place of [path(run), path(run, "checkpoints")]) {
    expect(readdirSync(place).filter((name) => name.startsWith("."))).toEqual([]);
  }
}

describe("facet finetune, killed at random steps again and again", () => {
  writeRows(
    path("uneven.jsonl"),
    Array.from({ length: 45 }, (_, i) => ({
      instruction: `How many is ${i} and ${i + 1}?`,
      response: `It is ${2 * i + 1}, of course. `.repeat(1 + ((i * i) % 4)),
    })),
  );
  const args = [
    ...["finetune", "--model", "tiny", "--data", "uneven.jsonl", "--sequence-length", "128"],
    ...["--validation-split", "0.1", "--prompts", "How many?", "--sample-length", "40"],
    ...["--batch-size", "6", "--micro-batch-size", "4", "--group-by-length", "--dropout", "0.2"],
    ...["--epochs", "20", "--learning-rate", "0.01", "--clip-norm", "1", "--save-every", "9"],
    ...["--log-every", "2", "--evaluate-epochs", "0.6", "--keep-best", "2", "--use-best"],
    ...["--patience", "99", "--sample-every", "25", "--ema", "0.9", "--seed", "5", ...threads],
  ];

  it("gives what the uninterrupted run gives, byte for byte", async () => {
    expect((await runFacet([...args, "--run", "whole"], folder)).code).toBe(0);
    const steps = lastStep("whole");
    expect(steps).toBeGreaterThan(100);
    await killRepeatedly(args, "parts", 5, steps);

    for (const file of ["adapter_model.safetensors", "adapter_config.json"]) {
      expect(read("parts", "adapter", file).equals(read("whole", "adapter", file)), file).toBe(
        true,
      );
    }
    expect(metrics("parts")).toBe(metrics("whole"));
    for (const file of ["samples.jsonl", "samples-during.jsonl"]) {
      expect(read("parts", file).toString()).toBe(read("whole", file).toString());
    }
    expectNoLeftovers("parts");
    expect(readdirSync(path("parts", "checkpoints"))).toEqual(
      readdirSync(path("whole", "checkpoints")),
    );
  });

  it("does so for data sets that are mixed by weight, several rows packed into one", async () => {
    const mixed = [
      ...["finetune", "--model", "tiny", "--data", "uneven.jsonl", "--data", "rows.jsonl"],
      ...["--mix", "1,2", "--packing", "--sequence-length", "128", "--targets", "completion"],
      ...["--batch-size", "3", "--micro-batch-size", "2", "--epochs", "12", "--dropout", "0.1"],
      ...["--learning-rate", "0.01", "--save-every", "4", "--seed", "7", ...threads],
    ];
    expect((await runFacet([...mixed, "--run", "mixed"], folder)).code).toBe(0);
    const steps = lastStep("mixed");
    expect(steps).toBeGreaterThan(60);
    await killRepeatedly(mixed, "mixed-parts", 3, steps);
    const file = "adapter_model.safetensors";
    expect(read("mixed-parts", "adapter", file).equals(read("mixed", "adapter", file))).toBe(true);
    expect(metrics("mixed-parts")).toBe(metrics("mixed"));
  });

  it("needs no step to be done again when it was killed after the last one", async () => {
    const before = metrics("parts");
    for (const file of ["samples.jsonl", "report.html"]) rmSync(path("parts", file));
    rmSync(path("parts", "adapter"), { recursive: true });
    const { code, stdout } = await runFacet(
      ["finetune", "--resume", "--run", "parts", ...threads],
      folder,
    );
    expect(code).toBe(0);
    expect(stdout).not.toContain("NaN");
    const file = "adapter_model.safetensors";
    expect(read("parts", "adapter", file).equals(read("whole", "adapter", file))).toBe(true);
    expect(metrics("parts")).toBe(before);
    expect(read("parts", "samples.jsonl").toString()).toBe(
      read("whole", "samples.jsonl").toString(),
    );
    expect(/.*NaN.*/.exec(read("parts", "report.html").toString())?.[0]).toBe(undefined);
  });

  it("is not resumed when it is finished", async () => {
    const { code, stderr } = await runFacet(["finetune", "--resume", "--run", "whole"], folder);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: The run in .*whole is finished; there is nothing to resume\./);
  });
});

describe("facet pretrain, killed at random steps again and again", () => {
  const sentences = Array.from(
    { length: 200 },
    (_, i) => `Ship ${i} left the harbour at ${i % 24} and came back with ${i % 7} boxes of tea.`,
  );
  writeFileSync(path("corpus.txt"), sentences.join("\n\n\n"));
  const args = [
    ...["pretrain", "--config", "tiny/config.json", "--tokenizer", "tiny/tokenizer.model"],
    ...["--text", "corpus.txt", "--sequence-length", "16", "--batch-size", "4"],
    ...["--held-out", "0.1", "--warmup-steps", "5", "--dtype", "float32", "--steps", "120"],
    ...["--save-every", "11", "--evaluate-every", "7", ...threads],
  ];

  it("gives what the uninterrupted run gives, byte for byte", async () => {
    expect((await runFacet([...args, "--run", "base-whole"], folder)).code).toBe(0);
    await killRepeatedly(args, "base-parts", 3, 120);
    const weights = (run: string) => read(run, "model", "model.safetensors");
    expect(weights("base-parts").equals(weights("base-whole"))).toBe(true);
    expect(metrics("base-parts")).toBe(metrics("base-whole"));
    expectNoLeftovers("base-parts");
  });
});
