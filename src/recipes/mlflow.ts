import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { readStrictJson } from "../formats/strictJson.js";
import type { RunCallback, RunStart } from "./runCallback.js";
import { writeJson } from "./runFolder.js";

export interface MlflowOptions {
  /** Address of the tracking server, for example http://localhost:5000. */
  readonly uri: string;
  /** Name of the experiment, which is made if there is none; default "facet". */
  readonly experiment?: string | undefined;
  /** Told once when the server cannot be reached while the run goes on. */
  readonly onNotice?: (text: string) => void;
}

interface Metric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

/** What one call of log-batch takes (MLflow, REST API, "Log Batch"). */
const metricsInBatch = 1000;
const paramsInBatch = 100;
/** Metrics that wait for a server that does not answer; older ones are dropped. */
const mostWaiting = 100_000;
const patience = 10_000;

const known = z.object({ uri: z.string(), run: z.string() });

/**
 * Sends a run's configuration, metrics, validations and state to an MLflow server by its REST API 2.0 (mlflow.org/docs,
 * "REST API"). The run folder remembers the MLflow run in mlflow.json, so a resumed run goes on in it. Credentials are
 * MLflow's: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
 * A server that cannot be reached at the start is a FacetError; later, the run goes on and sends again what waits.
 */
export function mlflow({ uri, experiment = "facet", onNotice }: MlflowOptions): RunCallback {
  const server = openServer(uri);
  let run = "";
  let waiting: Metric[] = [];
  let noticed = false;

  const send = async () => {
    try {
      while (waiting.length > 0) {
        const metrics = waiting.slice(0, metricsInBatch);
        await server.post("runs/log-batch", { run_id: run, metrics });
        waiting = waiting.slice(metrics.length);
      }
    } catch (error) {
      waiting = waiting.slice(-mostWaiting);
      if (!noticed) onNotice?.(`${(error as Error).message} The run goes on without it.`);
      noticed = true;
    }
  };
  const add = (step: number, values: Readonly<Record<string, unknown>>, prefix: string) => {
    for (const [name, value] of Object.entries(values)) {
      // A metric of MLflow is one finite number.
      if (typeof value !== "number" || !Number.isFinite(value) || name === "step") continue;
      waiting.push({ key: `${prefix}/${name}`, value, timestamp: Date.now(), step });
    }
  };
  const end = async (status: "FINISHED" | "FAILED" | "KILLED") => {
    await send();
    const update = { run_id: run, status, end_time: Date.now() };
    if (run !== "") await server.post("runs/update", update).catch(() => {});
  };
  return {
    async onStart(start) {
      run = await openRun(server, experiment, start, uri);
    },
    async onMetrics({ step, gradient_norms, ...values }) {
      add(step, values, "train");
      add(step, gradient_norms, "gradient_norm");
      await send();
    },
    async onEvaluation(step, { measures = {}, ...values }) {
      add(step, { ...values, ...measures }, "validation");
      await send();
    },
    onEnd: ({ status }) => end(status === "finished" ? "FINISHED" : "KILLED"),
    onError: () => end("FAILED"),
  };
}

async function openRun(
  server: Server,
  experiment: string,
  { folder, config, trainableParameters }: RunStart,
  uri: string,
): Promise<string> {
  const file = join(folder, "mlflow.json");
  if (existsSync(file)) {
    const saved = known.safeParse(readStrictJson(file));
    if (saved.success && saved.data.uri === uri) {
      await server.post("runs/update", { run_id: saved.data.run, status: "RUNNING" });
      return saved.data.run;
    }
  }
  const created = await server.post("runs/create", {
    experiment_id: await experimentId(server, experiment),
    run_name: basename(folder),
    start_time: Date.now(),
    tags: [{ key: "facet.folder", value: folder }],
  });
  const { run } = z
    .object({ run: z.object({ info: z.object({ run_id: z.string() }) }) })
    .parse(created);
  const { run_id } = run.info;
  const params = Object.entries({ ...config, trainableParameters })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({
      key,
      value: (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 500),
    }));
  for (let from = 0; from < params.length; from += paramsInBatch) {
    await server.post("runs/log-batch", {
      run_id,
      params: params.slice(from, from + paramsInBatch),
    });
  }
  writeJson(file, { uri, run: run_id });
  return run_id;
}

async function experimentId(server: Server, name: string): Promise<string> {
  const found = await server.get(
    `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`,
  );
  if (found !== undefined) {
    const schema = z.object({ experiment: z.object({ experiment_id: z.string() }) });
    return schema.parse(found).experiment.experiment_id;
  }
  return z
    .object({ experiment_id: z.string() })
    .parse(await server.post("experiments/create", { name })).experiment_id;
}

interface Server {
  /** Undefined when there is no such thing. */
  get(path: string): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
}

function openServer(uri: string): Server {
  const base = `${uri.replace(/\/+$/, "")}/api/2.0/mlflow/`;
  const ask = async (path: string, init: RequestInit): Promise<unknown> => {
    let response: Response;
    try {
      const headers = { "content-type": "application/json", ...authorization() };
      response = await fetch(base + path, {
        ...init,
        headers,
        signal: AbortSignal.timeout(patience),
      });
    } catch (error) {
      throw new FacetError(`The MLflow server ${uri} cannot be reached: ${reason(error)}.`);
    }
    const text = await response.text();
    if (response.status === 404 && init.method === "GET") return undefined;
    if (!response.ok) {
      throw new FacetError(
        `The MLflow server ${uri} refuses ${path.split("?")[0]}: ${response.status} ${text.slice(0, 300)}`,
      );
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new FacetError(
        `${uri} is no MLflow server: it answers ${path.split("?")[0]} without JSON.`,
      );
    }
  };
  return {
    get: (path) => ask(path, { method: "GET" }),
    post: (path, body) => ask(path, { method: "POST", body: JSON.stringify(body) }),
  };
}

function authorization(): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user } = process.env;
  if (token) return { authorization: `Bearer ${token}` };
  if (!user) return {};
  const pair = `${user}:${process.env.MLFLOW_TRACKING_PASSWORD ?? ""}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

const reason = (error: unknown) => {
  const { cause, message } = error as Error & { cause?: Error };
  return cause?.message || message;
};
