import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFacet, startFacet, workFolder } from "./facet.js";

const folder = workFolder();
const options = {
  ...{ model: "tiny", data: "rows.jsonl", validationSplit: 0.3, sequenceLength: 64 },
  ...{ batchSize: 4, maxSteps: 60, saveEvery: 1 },
};

/** Writes the file of a sweep, and gives its name. */
function sweepFile(name: string, more: object = {}): string {
  const sweep = { run: name, options, search: { learningRate: [1e-4, 1e-2] }, ...more };
  writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(sweep));
  return `${name}.yaml`;
}
const run = (...args: string[]) => runFacet(["sweep", ...args], folder);

/** What does not depend on the folder or the clock. */
const numbers = (stdout: string) => {
  const { trials, best } = JSON.parse(stdout);
  return {
    best: best.values,
    trials: trials.map(({ number, values, loss, accuracy, steps }: Record<string, unknown>) => ({
      ...{ number, values, loss, accuracy, steps },
    })),
  };
};

/** Resolves when a run of a sweep has saved a checkpoint. */
async function checkpoint(sweep: string, trial: string): Promise<void> {
  const checkpoints = join(folder, sweep, "trials", trial, "run", "checkpoints");
  const saved = () =>
    existsSync(checkpoints) && readdirSync(checkpoints).some((n) => !n.startsWith("."));
  while (!saved()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("facet sweep", () => {
  it("goes on after it was killed or interrupted, to what it would have given without", async () => {
    const whole = await run(sweepFile("whole"), "--json");
    expect(whole.code).toBe(0);
    expect(numbers(whole.stdout).trials).toHaveLength(2);
    const result = JSON.parse(whole.stdout);
    expect(existsSync(join(folder, result.retrained.run, "adapter", "adapter_config.json"))).toBe(
      true,
    );
    expect(existsSync(join(folder, "whole", "report.html"))).toBe(true);

    const file = sweepFile("killed");
    const killed = startFacet(["sweep", file], folder);
    await checkpoint("killed", "0001");
    killed.process.kill("SIGKILL");
    expect((await killed.ended).signal).toBe("SIGKILL");

    const stopped = startFacet(["sweep", file], folder);
    await checkpoint("killed", "0002");
    stopped.process.kill("SIGINT");
    const { code, stderr } = await stopped.ended;
    expect(code).toBe(130);
    expect(stderr).toContain("Going on with run 1");
    expect(stderr).toContain(`To go on: facet sweep ${file}`);

    const again = await run(file, "--json");
    expect(again.code).toBe(0);
    expect(again.stderr).toMatch(/Run 1 .*\(known\)/);
    expect(again.stderr).toContain("Going on with run 2");
    expect(numbers(again.stdout)).toEqual(numbers(whole.stdout));
  }, 480_000);

  it("runs several at a time, and shows a table with what failed", async () => {
    // A rank is refused by no schema but by the memory of any machine.
    const search = { rank: [2, 4, 100_000_000] };
    const { code, stdout } = await run(
      ...[sweepFile("wide", { search, retrain: false }), "--workers", "2", "--threads", "1"],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Run +rank +loss +accuracy +time\n/);
    expect(stdout).toMatch(/^3 +100000000 +failed/m);
  }, 240_000);

  it.each([
    [["nowhere.yaml"], "nowhere.yaml"],
    [[sweepFile("typo", { search: { lerningRate: [1] } })], 'Did you mean "learningRate"?'],
    [[sweepFile("zero"), "--workers", "0"], "Invalid --workers"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
