import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { readSweepFile } from "../../src/recipes/sweepConfig.js";
import { temporaryFolder } from "../support/modelFolder.js";

function read(sweep: object) {
  const path = join(temporaryFolder(), "sweep.yaml");
  writeFileSync(path, JSON.stringify(sweep));
  return readSweepFile(path);
}

const options = { model: "m", data: "d.jsonl", validationSplit: 0.1 };
const search = { rank: [2, 4] };

describe("readSweepFile", () => {
  it("reads YAML, knows which ranges hold whole numbers, and fills in the rest", () => {
    const path = join(temporaryFolder(), "sweep.yaml");
    writeFileSync(
      path,
      `# a comment
run: runs/sweep
method: random
trials: 5
options: {model: m, data: d.jsonl, validationSplit: 0.1}
search:
  learningRate: {min: 1.0e-5, max: 1.0e-3, scale: log}
  rank: {min: 1, max: 16}
  schedule: [linear, cosine]
`,
    );
    const { space, ...rest } = readSweepFile(path);
    expect(rest).toEqual({
      ...{ run: "runs/sweep", method: "random", trials: 5, options },
      ...{ factor: 3, goal: "loss", seed: 0, retrain: { validationSplit: 0 } },
    });
    expect([...space]).toEqual([
      ["learningRate", { min: 1e-5, max: 1e-3, scale: "log", whole: false, count: undefined }],
      ["rank", { min: 1, max: 16, scale: "linear", whole: true, count: undefined }],
      ["schedule", { values: ["linear", "cosine"] }],
    ]);
  });

  it("does not train again by default where runs look at held-out rows while they train", () => {
    const watched = { run: "r", options: { ...options, evaluateEvery: 10 }, search };
    expect(read(watched).retrain).toBe(false);
  });

  const halving = { method: "halving", trials: 9 };
  it.each([
    [{ search: { rnak: [1] } }, 'Did you mean "rank"?'],
    [{ options: { ...options, modle: "m" } }, 'Did you mean "model"?'],
    [{ retrain: { epoch: 3 } }, 'Did you mean "epochs"?'],
    [{ serach: {} }, 'Did you mean "search"?'],
    [{ search: {} }, "names no option to search"],
    [{ search: { rank: [] } }, "search.rank has no values"],
    [{ search: { rank: [2, 0] } }, "search.rank cannot be 0"],
    [{ search: { schedule: ["linera"] } }, 'search.schedule cannot be "linera"'],
    [{ search: { rank: 4 } }, "must be a list of values, or {min, max"],
    [{ search: { learningRate: { min: 2, max: 1 } } }, "min must be less than max"],
    [
      { search: { dropout: { min: 0, max: 0.5, scale: "log" } } },
      "a log scale needs a min above 0",
    ],
    [{ search: { learningRate: { min: 1, max: 2, sacle: "log" } } }, "sacle"],
    [{ search: { validationSplit: [0.1, 0.2] } }, "cannot be searched"],
    [{ search: { run: ["a"] } }, "cannot be searched"],
    [{ search: { objective: ["dpo", "orpo"] } }, "objective cannot be searched"],
    [{ search: { beta: [0.1, 0.2] } }, "Search it with goal: accuracy"],
    [{ options: { ...options, rank: 4 } }, 'rank is both in "options" and in "search"'],
    [{ options: { ...options, run: "x" } }, "options.run is not needed"],
    [{ options: { ...options, epochs: -1 } }, "options.epochs cannot be -1"],
    [{ options: { model: "m", data: "d" } }, "Set validationSplit"],
    [{ trials: 3 }, "A grid tries all combinations"],
    [{ method: "random" }, "needs trials"],
    [{ ...halving }, "Halving needs maxSteps"],
    [{ ...halving, options: { ...options, maxSteps: 9, epochs: 2 } }, "and no epochs"],
    [{ ...halving, search: { epochs: [1, 2] } }, "Halving decides epochs itself"],
    [{ method: "bayes" }, "method"],
  ])("refuses %j", (change, message) => {
    const sweep = { run: "r", options, search, ...change };
    expect(() => read(sweep)).toThrow(FacetError);
    expect(() => read(sweep)).toThrow(message);
  });
});
