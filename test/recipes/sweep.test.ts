import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { type SweepHooks, sweep } from "../../src/recipes/sweep.js";
import { readSweepFile } from "../../src/recipes/sweepConfig.js";
import { rankedTrials } from "../../src/recipes/sweepTable.js";
import type { Trial, TrialResult } from "../../src/recipes/sweepTrials.js";
import { parseMarkup } from "../report/markup.js";
import { temporaryFolder } from "../support/modelFolder.js";

const options = { model: "m", data: "d.jsonl", validationSplit: 0.1 };

/** A sweep in a folder of its own; `more` changes its file. */
function opened(more: object, folder = temporaryFolder()) {
  const path = join(folder, "sweep.yaml");
  const run = join(folder, "sweep");
  writeFileSync(path, JSON.stringify({ run, options, ...more }));
  return readSweepFile(path);
}

/** Runs are best at a learning rate of 1e-3, the more so the more steps they have. */
const loss = ({ config }: Trial) =>
  1 + Math.abs(Math.log10(config.learningRate!) + 3) + 1 / (config.maxSteps ?? 1);
const result = (trial: Trial): TrialResult => ({
  ...{ steps: config(trial).maxSteps ?? 10, seconds: 1 },
  heldOut:
    config(trial).validationSplit === 0
      ? undefined
      : { loss: loss(trial), accuracy: 1 / loss(trial), examples: 10 },
});
const config = (trial: Trial) => trial.config;

function hooks(
  run: (trial: Trial, resume: boolean) => TrialResult | undefined = result,
  workers = 1,
) {
  const ran: Trial[] = [];
  const all: SweepHooks = {
    workers,
    runTrial: async (trial, resume) => {
      ran.push(trial);
      return run(trial, resume);
    },
  };
  return { ran, all };
}

const rates = { learningRate: [1e-5, 1e-4, 1e-3, 1e-2] };

describe("sweep", () => {
  it("runs all combinations of a grid, and the best again on all rows", async () => {
    const { ran, all } = hooks();
    const grid = opened({ search: { ...rates, rank: [2, 4] } });
    const { status, trials, best, retrained } = await sweep(grid, all);
    expect(status).toBe("finished");
    expect(trials.map(({ point }) => point)).toEqual(
      rates.learningRate.flatMap((learningRate) => [2, 4].map((rank) => ({ learningRate, rank }))),
    );
    expect(best!.point).toEqual({ learningRate: 1e-3, rank: 2 });
    expect(ran).toHaveLength(9);
    expect(config(ran[8]!)).toEqual({
      ...best!.config,
      ...{ validationSplit: 0, run: join(grid.run, "best", "run") },
    });
    expect(retrained!.result!.heldOut).toBeUndefined();
  });

  it("draws the same combinations for a seed, each once", async () => {
    const search = { learningRate: { min: 1e-5, max: 1e-1, scale: "log" }, rank: [1, 2] };
    const points = async (more: object) => {
      const { ran, all } = hooks();
      await sweep(opened({ method: "random", search, retrain: false, ...more }), all);
      return ran.map(({ point }) => point);
    };
    const eight = await points({ trials: 8 });
    expect(new Set(eight.map((point) => JSON.stringify(point))).size).toBe(8);
    expect(await points({ trials: 8 })).toEqual(eight);
    expect(await points({ trials: 5 })).toEqual(eight.slice(0, 5));
    expect(await points({ trials: 8, seed: 1 })).not.toEqual(eight);
    // There are no more than four.
    const few = await points({ trials: 20, search: rates });
    expect(few.map(({ learningRate }) => learningRate).sort()).toEqual(
      [...rates.learningRate].sort(),
    );
  });

  it("halves: the best of a round go on with more steps", async () => {
    const { ran, all } = hooks();
    const search = { learningRate: { min: 1e-5, max: 1e-1, scale: "log" } };
    const halving = opened({
      ...{ method: "halving", trials: 9, search, retrain: false },
      options: { ...options, maxSteps: 90 },
    });
    const { best, trials } = await sweep(halving, all);
    const steps = ran.map(({ config }) => [config.maxSteps, config.epochs]);
    expect(steps).toEqual([...Array(9).fill([10, 10]), ...Array(3).fill([30, 30]), [90, 90]]);
    const first = ran.slice(0, 9).sort((a, b) => loss(a) - loss(b));
    expect(ran.slice(9, 12).map(({ number }) => number)).toEqual(
      first.slice(0, 3).map(({ number }) => number),
    );
    expect(best!.number).toBe(first[0]!.number);
    const table = rankedTrials(halving, trials);
    expect(table[0]).toEqual(best);
    expect(table.map(({ round }) => round)).toEqual([3, 2, 2, 2, ...Array(9).fill(1)]);
  });

  it("maximises accuracy where that is the goal", async () => {
    const { all } = hooks((trial) => ({
      ...result(trial),
      heldOut: { loss: 1, accuracy: trial.config.learningRate!, examples: 1 },
    }));
    const { best } = await sweep(opened({ goal: "accuracy", search: rates, retrain: false }), all);
    expect(best!.point.learningRate).toBe(1e-2);
  });

  it("goes on where it was interrupted, and runs nothing twice", async () => {
    const folder = temporaryFolder();
    const stopped = hooks((trial) => {
      if (trial.number < 3) return result(trial);
      // What a run that was stopped leaves behind.
      mkdirSync(trial.config.run, { recursive: true });
      writeFileSync(join(trial.config.run, "run.json"), "{}");
      return undefined;
    });
    expect((await sweep(opened({ search: rates }, folder), stopped.all)).status).toBe(
      "interrupted",
    );
    const resumed: [number, boolean][] = [];
    const again = hooks((trial, resume) => {
      resumed.push([trial.number, resume]);
      return result(trial);
    });
    const { status, best } = await sweep(opened({ search: rates }, folder), again.all);
    expect(resumed).toEqual([
      [3, true],
      [4, false],
      [3, false],
    ]);
    expect({ status, number: best!.number }).toEqual({ status: "finished", number: 3 });
    const nothing = hooks();
    await sweep(opened({ search: rates }, folder), nothing.all);
    expect(nothing.ran).toEqual([]);
  });

  it("ranks a run that fails last, and tries it again when the sweep is run again", async () => {
    const folder = temporaryFolder();
    const failing = hooks((trial) => {
      if (trial.point.learningRate === 1e-3) throw new FacetError("The loss is not finite.");
      return result(trial);
    });
    const first = opened({ search: rates }, folder);
    const { best, trials } = await sweep(first, failing.all);
    expect(best!.point.learningRate).toBe(1e-4);
    expect(rankedTrials(first, trials).at(-1)!.error).toBe("The loss is not finite.");
    const again = hooks();
    await sweep(opened({ search: rates, retrain: false }, temporaryFolder()), again.all);
    expect(again.ran).toHaveLength(4);
    const retried = hooks();
    await sweep(first, retried.all);
    expect(retried.ran.map(({ number }) => number)).toContain(3);
  });

  it("takes a run whose held-out loss is not finite for failed", async () => {
    const { all } = hooks((trial) => ({
      ...result(trial),
      heldOut: { loss: trial.number === 1 ? Number.NaN : 2, accuracy: 0.5, examples: 1 },
    }));
    const { trials } = await sweep(opened({ search: rates, retrain: false }), all);
    expect(trials.map(({ error }) => error !== undefined)).toEqual([true, false, false, false]);
  });

  it("fails when every run fails, and passes on what is no FacetError", async () => {
    const refused = hooks(() => {
      throw new FacetError("The disk is full.");
    });
    await expect(sweep(opened({ search: rates }), refused.all)).rejects.toThrow(
      "Every run of the sweep failed, the first with: The disk is full.",
    );
    const broken = hooks(() => {
      throw new TypeError("undefined");
    });
    await expect(sweep(opened({ search: rates }), broken.all)).rejects.toThrow(TypeError);
  });

  it("runs as many at a time as there are workers", async () => {
    let [now, most] = [0, 0];
    const all: SweepHooks = {
      workers: 3,
      runTrial: async (trial) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now -= 1;
        return result(trial);
      },
    };
    await sweep(opened({ search: { ...rates, rank: [1, 2] } }), all);
    expect(most).toBe(3);
  });

  it("refuses a folder of another sweep, or of something else", async () => {
    const folder = temporaryFolder();
    await sweep(opened({ search: rates }, folder), hooks().all);
    await expect(sweep(opened({ search: { rank: [1] } }, folder), hooks().all)).rejects.toThrow(
      "holds another sweep",
    );
    const other = temporaryFolder();
    mkdirSync(join(other, "sweep"));
    await expect(sweep(opened({ search: rates }, other), hooks().all)).rejects.toThrow(
      "exists already, and is no sweep",
    );
  });

  it("makes no folder when a combination is refused", async () => {
    const wrong = opened({ options: { model: "m", validationSplit: 0.1 }, search: rates });
    await expect(sweep(wrong, hooks().all)).rejects.toThrow("data");
    const ignored = opened({ options: { ...options, patience: 2 }, search: rates });
    await expect(sweep(ignored, hooks().all)).rejects.toThrow("--patience needs --evaluate-every");
    expect(existsSync(wrong.run)).toBe(false);
  });

  it("keeps a report of the table and of each option", async () => {
    const grid = opened({ search: { ...rates, schedule: ["linear", "cosine"] } });
    await sweep(grid, hooks().all);
    const elements = parseMarkup(readFileSync(join(grid.run, "report.html"), "utf8"));
    const texts = (name: string) => elements.filter((e) => e.name === name).map((e) => e.text);
    expect(texts("h2")).toEqual(["Runs", "By learningRate", "By schedule", "The sweep"]);
    expect(elements.filter(({ name }) => name === "tr")).toHaveLength(9);
    expect(texts("td").slice(0, 4)).toEqual(["0.001", "linear", "2.0000", "50.0 %"]);
    // Eight points in each of two plots, for wide and for narrow pages.
    expect(elements.filter(({ name }) => name === "circle")).toHaveLength(32);
    expect(texts("desc")[0]).toBe("8 runs; best loss 2.000 at 0.001.");
  });
});
