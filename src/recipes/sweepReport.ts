import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { renderSweepReport, type SweepPlot } from "../report/sweepReport.js";
import { builtInModel } from "./openChoices.js";
import type { SweepConfig } from "./sweepConfig.js";
import { rankedTrials, sweepColumns, sweepRow, valueText } from "./sweepTable.js";
import type { EndedTrial } from "./sweepTrials.js";

/** Where a sweep's report lies. */
export const sweepReportPath = ({ run }: Pick<SweepConfig, "run">): string =>
  join(run, "report.html");

/** Writes the report of a sweep as far as it has come. */
export function writeSweepReport(config: SweepConfig, trials: readonly EndedTrial[]): void {
  const { goal, method, options, space, seed } = config;
  const ranked = rankedTrials(config, trials);
  const facts = {
    Method: method,
    Goal: `${goal} of the held-out rows`,
    Runs: String(trials.length),
    ...Object.fromEntries(Object.entries(options).map(([name, value]) => [name, valueText(value)])),
    ...(method !== "grid" && { "Seed of the draws": String(seed) }),
  };
  const page = renderSweepReport({
    title: `Sweep over ${[...space.keys()].join(", ")}`,
    model: ranked[0]?.config.model ?? builtInModel,
    created: new Date().toISOString(),
    goal,
    columns: sweepColumns(config),
    rows: ranked.map((trial) => sweepRow(config, trial)),
    plots: plotsOf(config, ranked),
    facts: Object.entries(facts).map(([label, value]) => ({ label, value })),
  });
  writeFileAtomic(sweepReportPath(config), page);
}

function plotsOf(config: SweepConfig, ranked: readonly EndedTrial[]): SweepPlot[] {
  const { goal, method, space } = config;
  const y = ({ result }: EndedTrial) => result?.heldOut?.[goal] ?? Number.NaN;
  const winner = ranked[0];
  const plots = [...space].map(([name, dimension]): SweepPlot => {
    const log = "scale" in dimension && dimension.scale === "log";
    return {
      heading: `By ${name}`,
      scale: log || isGeometric(dimension) ? "log" : "linear",
      x: name,
      points: ranked.map((trial) => {
        const value = trial.point[name];
        const x = typeof value === "number" ? value : valueText(value);
        return { x, y: y(trial), group: undefined, isBest: trial === winner };
      }),
    };
  });
  if (method !== "halving") return plots;
  const rounds: SweepPlot = {
    heading: "By steps",
    scale: "log",
    x: "steps",
    points: ranked.map((trial) => ({
      ...{ x: trial.config.maxSteps!, y: y(trial) },
      ...{ group: String(trial.number), isBest: trial === winner },
    })),
  };
  return [rounds, ...plots];
}

/** Whether the numbers of a list span so much that a linear axis would heap them up. */
function isGeometric(dimension: object): boolean {
  if (!("values" in dimension)) return false;
  const values = dimension.values as readonly unknown[];
  const numbers = values.filter((value): value is number => typeof value === "number" && value > 0);
  return numbers.length === values.length && Math.max(...numbers) > 10 * Math.min(...numbers);
}
