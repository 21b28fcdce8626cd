import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { finetune, resumeFinetune } from "../../src/recipes/finetune.js";
import { mlflow } from "../../src/recipes/mlflow.js";
import type { RunCallback } from "../../src/recipes/runCallback.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";

interface Call {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
}

/** As much of an MLflow tracking server as a run speaks to, by its documented REST API. */
let server: Server;
let uri: string;
let calls: Call[];
let experiments: Map<string, string>;
let isDown: boolean;

beforeEach(async () => {
  [calls, experiments, isDown] = [[], new Map(), false];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      const url = new URL(request.url!, "http://localhost");
      const path = url.pathname.replace("/api/2.0/mlflow/", "");
      const body = text === "" ? {} : JSON.parse(text);
      const answer = (status: number, value: unknown) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(value));
      };
      if (isDown) return answer(503, { error_code: "TEMPORARILY_UNAVAILABLE" });
      calls.push({ path, authorization: request.headers.authorization, body });
      const name = url.searchParams.get("experiment_name") ?? body.name;
      const id = experiments.get(name);
      if (path === "experiments/get-by-name") {
        if (id === undefined) return answer(404, { error_code: "RESOURCE_DOES_NOT_EXIST" });
        return answer(200, { experiment: { experiment_id: id, name } });
      }
      if (path === "experiments/create") {
        experiments.set(name, "7");
        return answer(200, { experiment_id: "7" });
      }
      if (path === "runs/create") return answer(200, { run: { info: { run_id: "abc" } } });
      return answer(200, {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  vi.unstubAllEnvs();
  server.close();
});

function setUp() {
  const folder = temporaryFolder();
  const rows = Array.from({ length: 12 }, (_, i) => ({
    instruction: `How many is ${i}?`,
    response: `It is ${i}.`,
  }));
  const data = join(folder, "rows.jsonl");
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return {
    ...{ model: tinyModelFolder(), data, run: join(folder, "run"), sequenceLength: 64 },
    ...{ maxSteps: 4, validationSplit: 0.3, evaluateEvery: 2, saveEvery: 1 },
  };
}
const engine = onnxEngine({ threads: 1 });
const metricsSent = () =>
  calls.flatMap(
    ({ body }) => (body.metrics ?? []) as { key: string; value: number; step: number }[],
  );

describe("mlflow", () => {
  test("makes experiment and run, and sends parameters, metrics and the end", async () => {
    vi.stubEnv("MLFLOW_TRACKING_TOKEN", "secret");
    const input = setUp();
    await finetune(input, engine, { callbacks: [mlflow({ uri, experiment: "tests" })] });
    expect(calls.slice(0, 3).map(({ path }) => path)).toEqual([
      "experiments/get-by-name",
      "experiments/create",
      "runs/create",
    ]);
    expect(calls.every(({ authorization }) => authorization === "Bearer secret")).toBe(true);
    expect(calls[2]!.body).toMatchObject({ experiment_id: "7", run_name: "run" });
    const params = calls.flatMap(
      ({ body }) => (body.params ?? []) as { key: string; value: string }[],
    );
    expect(params).toContainEqual({ key: "maxSteps", value: "4" });
    expect(params).toContainEqual({ key: "modules", value: '["q_proj","v_proj"]' });

    const lines = readFileSync(join(input.run, "metrics.jsonl"), "utf8").trim().split("\n");
    const losses = lines.map((line) => JSON.parse(line)).filter((line) => "loss" in line);
    const sent = metricsSent();
    const of = (key: string) => sent.filter((metric) => metric.key === key);
    expect(of("train/loss").map(({ step, value }) => ({ step, loss: value }))).toEqual(
      losses.map(({ step, loss }) => ({ step, loss })),
    );
    expect(of("validation/loss").map(({ step }) => step)).toEqual([0, 2, 4, 4]);
    expect(of("gradient_norm/layer_2")).toHaveLength(4);
    expect(calls.at(-1)).toMatchObject({
      path: "runs/update",
      body: { run_id: "abc", status: "FINISHED" },
    });
  });

  test("goes on in the run of mlflow.json when the run is resumed", async () => {
    experiments.set("facet", "7");
    const input = setUp();
    const stop = new AbortController();
    const stopping: RunCallback = {
      onMetrics: ({ step }) => {
        if (step === 2) stop.abort();
      },
    };
    const interrupted = { callbacks: [mlflow({ uri }), stopping], signal: stop.signal };
    expect((await finetune(input, engine, interrupted)).status).toBe("interrupted");
    expect(calls.at(-1)!.body).toMatchObject({ status: "KILLED" });
    calls = [];
    await resumeFinetune(input.run, engine, { callbacks: [mlflow({ uri })] });
    expect(calls[0]).toMatchObject({
      path: "runs/update",
      body: { run_id: "abc", status: "RUNNING" },
    });
    expect(calls.map(({ path }) => path)).not.toContain("runs/create");
    expect(
      metricsSent()
        .filter(({ key }) => key === "train/loss")
        .map(({ step }) => step),
    ).toEqual([3, 4]);
  });

  test("that fails during a run does not end it; what waited is sent when it answers again", async () => {
    const notices: string[] = [];
    const onNotice = (text: string) => {
      notices.push(text);
    };
    const failing: RunCallback = {
      onMetrics: ({ step }) => {
        isDown = step < 3;
      },
    };
    const callbacks = [failing, mlflow({ uri, onNotice })];
    expect((await finetune(setUp(), engine, { callbacks })).status).toBe("finished");
    expect(notices).toEqual([
      expect.stringMatching(
        /^The MLflow server .* refuses runs\/log-batch: 503 .* The run goes on without it\.$/,
      ),
    ]);
    const steps = metricsSent()
      .filter(({ key }) => key === "train/loss")
      .map(({ step }) => step);
    expect(steps).toEqual([1, 2, 3, 4]);
  });

  test("that cannot be reached at the start is an error before anything is trained", async () => {
    const input = setUp();
    const nowhere = mlflow({ uri: "http://127.0.0.1:9" });
    await expect(finetune(input, engine, { callbacks: [nowhere] })).rejects.toThrow(
      /The MLflow server http:\/\/127\.0\.0\.1:9 cannot be reached: /,
    );
  });
});

describe("callbacks", () => {
  test("hear of everything, in order, and the run waits for them", async () => {
    const heard: string[] = [];
    const hear = (what: string) => async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      heard.push(what);
    };
    const callback: RunCallback = {
      onStart: ({ totalSteps, firstStep }) => hear(`start ${firstStep}/${totalSteps}`)(),
      onMetrics: ({ step }) => hear(`metrics ${step}`)(),
      onEvaluation: (step, { loss }, when) => hear(`${when} ${step} ${loss > 0}`)(),
      onSample: (step, prompt, _, when) => hear(`sample ${when} ${step} ${prompt}`)(),
      onCheckpoint: (step) => hear(`saved ${step}`)(),
      onEnd: ({ status }) => hear(status)(),
    };
    const input = { ...setUp(), maxSteps: 2, prompts: ["Why?"], sampleLength: 24, saveEvery: 9 };
    await finetune(input, engine, { callbacks: [callback] });
    expect(heard).toEqual([
      ...["start 0/2", "before 0 true", "sample before 0 Why?", "metrics 1", "metrics 2"],
      ...["during 2 true", "saved 2", "after 2 true", "sample after 2 Why?", "finished"],
    ]);
  });

  test("that throw end the run, with a checkpoint", async () => {
    let told: unknown;
    const callback: RunCallback = {
      onMetrics: ({ step }) => {
        if (step === 2) throw new Error("no more");
      },
      onError: (error) => {
        told = error;
      },
    };
    const input = { ...setUp(), saveEvery: 9 };
    await expect(finetune(input, engine, { callbacks: [callback] })).rejects.toThrow("no more");
    expect(told).toEqual(new Error("no more"));
    expect((await resumeFinetune(input.run, engine)).status).toBe("finished");
  });
});
