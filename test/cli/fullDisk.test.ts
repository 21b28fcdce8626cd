import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { latestCheckpoint } from "../../src/training/checkpoints.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const disk = join(folder, "disk");
const mounted = mountSmallDisk();

/** A disk of 1 MiB; only root may mount it, and only where mounting is allowed at all. */
function mountSmallDisk(): boolean {
  mkdirSync(disk);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], { stdio: "pipe" });
    return true;
  } catch {
    console.warn("No small disk can be mounted here: the test of a full disk is skipped.");
    return false;
  }
}
afterAll(() => {
  if (mounted) execFileSync("umount", [disk]);
});

/** Leaves this much of the disk free. */
function fillDisk(free: number): string {
  const { bavail, bsize } = statfsSync(disk);
  const filler = join(disk, "filler");
  writeFileSync(filler, new Uint8Array(bavail * bsize - free));
  return filler;
}

const train = [
  ...["finetune", "--model", "tiny", "--data", "rows.jsonl", "--sequence-length", "64"],
  ...["--max-steps", "30", "--save-every", "10", "--learning-rate", "0.01", "--threads", "1"],
];
const resume = ["finetune", "--resume", "--run", "disk/run", "--threads", "1"];
const adapter = (run: string) =>
  readFileSync(join(folder, run, "adapter", "adapter_model.safetensors"));

describe.skipIf(!mounted)("a disk that is full", () => {
  it("while a checkpoint is saved: the one before stays whole, and the run goes on when there is room", async () => {
    expect((await runFacet([...train, "--run", "whole"], folder)).code).toBe(0);
    // A checkpoint of the tiny model takes 60 KiB; run.json and the logs about 20.
    const filler = fillDisk(120 * 1024);
    const { code, stdout, stderr } = await runFacet([...train, "--run", "disk/run"], folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /^error: Cannot write .*checkpoints\/\.step-000020\..*: the disk is full\. Free some space/m,
    );
    expect(stderr).not.toContain("    at ");
    const checkpoints = join(disk, "run", "checkpoints");
    expect(readdirSync(checkpoints)).toEqual(["step-000010"]);

    const again = await runFacet(resume, folder);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("the disk is full");
    expect(latestCheckpoint(checkpoints)).toMatch(/step-000010$/);

    rmSync(filler);
    const { code: end, stderr: said } = await runFacet(resume, folder);
    expect({ end, said }).toEqual({ end: 0, said });
    expect(said).toContain("continuing after step 10\n");
    expect(adapter("disk/run").equals(adapter("whole"))).toBe(true);
  });

  it("from the start: says so, and leaves no folder", async () => {
    const filler = fillDisk(0);
    const { code, stderr } = await runFacet([...train, "--run", "disk/none"], folder);
    rmSync(filler);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: Cannot write .*the disk is full/m);
    expect(readdirSync(disk)).not.toContain("none");
  });
});
