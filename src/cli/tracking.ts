import { z } from "zod";
import { FacetError } from "../errors.js";
import { mlflow } from "../recipes/mlflow.js";
import type { RunCallback } from "../recipes/runCallback.js";
import { notice } from "./output.js";

/** Where a run's numbers go besides its folder. It changes nothing of the run. */
export const trackingSchema = z.strictObject({
  mlflow: z.string().optional().describe("address of an MLflow server to send the run to"),
  mlflowExperiment: z
    .string()
    .optional()
    .describe("experiment of the MLflow server (default: facet)"),
});

export function trackers({
  mlflow: uri,
  mlflowExperiment: experiment,
}: z.output<typeof trackingSchema>): RunCallback[] {
  if (uri !== undefined) return [mlflow({ uri, experiment, onNotice: notice })];
  if (experiment === undefined) return [];
  throw new FacetError("--mlflow-experiment needs --mlflow: the address of the server.");
}
