import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { latestCheckpoint } from "../../src/training/checkpoints.js";
import { runFacet, startFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
const path = (...names: string[]) => join(folder, ...names);
const data = ["--model", "tiny", "--data", "rows.jsonl", "--sequence-length", "64"];
const finetune = (...args: string[]) => runFacet(["finetune", ...args], folder);

describe("facet finetune", () => {
  it("trains, and prints its result as one JSON object", async () => {
    const { code, stdout, stderr } = await finetune(
      ...[...data, "--run", "first", "--filter", "no-context", "--limit", "20", "--seed", "3"],
      ...["--validation-split", "0.3", "--rank", "2", "--epochs", "2", "--learning-rate", "0.01"],
      ...["--prompts", "How many, then?", "--sample-length", "60", "--threads", "1", "--json"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      run: expect.stringMatching(/\/first$/),
      status: "finished",
      // Per layer, query: 2 (4 · 64 + 16), value: 2 (64 + 16).
      trainable_parameters: 3 * (2 * (4 * 64 + 16) + 2 * (64 + 16)),
      samples: [{ prompt: "How many, then?" }],
      adapter: join(result.run, "adapter"),
    });
    const lines = readFileSync(path("first", "metrics.jsonl"), "utf8").trim().split("\n");
    expect(lines).toHaveLength(result.steps);
    expect(result.held_out.after.loss).toBeLessThan(result.held_out.before.loss);
    for (const key of ["loss", "accuracy", "tokens_per_second", "seconds"]) {
      expect(result[key], key).toBeGreaterThanOrEqual(0);
    }
    for (const file of ["run.json", "samples.jsonl", "report.html", "adapter"]) {
      expect(existsSync(path("first", file)), file).toBe(true);
    }
  });

  it("says before it starts what the data became, the memory and the steps", async () => {
    const { stdout, stderr } = await finetune(...data, "--run", "said", "--max-steps", "30");
    const lines = stderr.split("\n");
    const at = (start: string) => lines.findIndex((line) => line.startsWith(start));
    expect(stderr).toContain("40 rows of 40 kept, ");
    expect(stderr).toContain('the template does not use "context", which 10 rows fill');
    expect(at("Memory: about ")).toBeGreaterThan(0);
    expect(at("Parameters: 4,224 trained, ")).toBeGreaterThan(at("Memory"));
    expect(at("Training 4,224 parameters in 30 steps")).toBeGreaterThan(at("Parameters"));
    expect(lines[at("Time: ")]).toMatch(/^Time: about .+ per step, .+ in all$/);
    expect(at("Time: ")).toBeLessThan(at("Training 1/30  loss "));
    const [first] = readFileSync(path("said", "metrics.jsonl"), "utf8").split("\n");
    const { gradient_norm, gradient_norms } = JSON.parse(first!);
    expect(Object.keys(gradient_norms)).toEqual(["layer_0", "layer_1", "layer_2"]);
    const norms = Object.values(gradient_norms) as number[];
    expect(Math.hypot(...norms) / gradient_norm).toBeCloseTo(1, 9);
    expect(at("Training 1/30  loss ")).toBeGreaterThan(at("Training 4,224"));
    // About every tenth, in plain lines, as stderr is a pipe.
    expect(lines.filter((line) => line.startsWith("Training ")).length).toBe(12);
    expect(stderr).not.toContain("\u001B");
    expect(stdout).toMatch(/^Steps +30 in /);
    expect(stdout).toContain("Next: npx facet chat --model tiny --adapter said");
  });

  it("needs nothing but data: it chooses the rest, says what, and notes it in run.json", async () => {
    const short = path("few.jsonl");
    const rows = readFileSync(path("rows.jsonl"), "utf8").split("\n").slice(0, 2);
    writeFileSync(short, `${rows.join("\n")}\n`);
    for (const run of ["runs/few", "runs/few-2"]) {
      const { code, stderr } = await finetune("--data", "few.jsonl", "--threads", "1");
      expect({ code, stderr }).toEqual({ code: 0, stderr });
      expect(stderr).toContain(
        `Chosen: --model facet_nano_en, --run ${run}, --learning-rate 0.002\n`,
      );
      const { config } = JSON.parse(readFileSync(path(run, "run.json"), "utf8"));
      expect(config).toMatchObject({ model: "facet_nano_en", run, learningRate: 2e-3 });
    }
  });

  it("trains an adapter of several ranks on chosen blocks, which is used as it was trained", async () => {
    const { code, stdout, stderr } = await finetune(
      ...[...data, "--run", "ranks", "--max-steps", "4", "--learning-rate", "0.01", "--json"],
      ...["--modules", "all-linear", "--layers", "1-2", "--layout", "standard", "--rslora"],
      ...["--rank-pattern", "mlp\\..*=2", "--alpha-pattern", "q_proj=16"],
      ...["--validation-split", "0.3"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    const { held_out, trainable_parameters } = JSON.parse(stdout);
    // Of both blocks: rank 4 on 64 → 64, 16, 16 and 64 → 64, rank 2 on 64 → 128 twice and back.
    expect(trainable_parameters).toBe(2 * (4 * (128 + 80 + 80 + 128) + 2 * 3 * (64 + 128)));
    const config = JSON.parse(
      readFileSync(path("ranks", "adapter", "adapter_config.json"), "utf8"),
    );
    expect(config.rank_pattern).toEqual({ gate_proj: 2, up_proj: 2, down_proj: 2 });
    expect(config.layers_to_transform).toEqual([1, 2]);
    const checkpoint = latestCheckpoint(path("ranks", "checkpoints"))!;
    const [exported, saved] = await Promise.all(
      ["ranks", checkpoint].map(async (adapter) => {
        const args = ["evaluate", ...data, "--adapter", adapter, "--json"];
        return JSON.parse((await runFacet(args, folder)).stdout).loss;
      }),
    );
    expect(exported / saved).toBeCloseTo(1, 6);
    expect(held_out.after.loss).toBeLessThan(held_out.before.loss);
  });

  it("mixes data sets and packs their rows", async () => {
    writeRows(path("more.jsonl"), [{ text: "One two three." }, { text: "Four five six." }]);
    const options = [
      ...[...data, "--data", "more.jsonl", "--mix", "3,1", "--packing", "--batch-size", "2"],
      ...["--epochs", "3", "--learning-rate", "0.01"],
    ];
    const whole = await finetune(...options, "--run", "mixed", "--json");
    expect(whole).toMatchObject({ code: 0 });
    expect(whole.stderr).toContain("42 rows of 42 kept");
    expect(whole.stderr).toContain("an epoch has 32 rows of rows.jsonl, 10 of more.jsonl");
    const { steps } = JSON.parse(whole.stdout);
    // Rows of 64 tokens hold several examples: fewer steps than three times 42 rows by two.
    expect(steps).toBeLessThan(63);
    const said = JSON.parse(readFileSync(path("mixed", "run.json"), "utf8"));
    expect(said.config).toMatchObject({
      data: [path("rows.jsonl"), path("more.jsonl")],
      mix: [3, 1],
    });
  });

  it("drops overlong rows when told so, and counts them with their lines", async () => {
    const { code, stderr } = await finetune(
      ...["--model", "tiny", "--data", "rows.jsonl", "--run", "short", "--max-steps", "2"],
      ...["--sequence-length", "38", "--overlong", "drop"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    expect(stderr).toMatch(/\d+ rows dropped: too long \(lines \d+, \d+, \d+, …\)/);
  });

  it.each([
    [["--rank", "65"], "error: LoRA rank must be a whole number from 1 to 64"],
    [["--rank", "0"], 'error: Invalid --rank "0"'],
    [["--sequence-length", "300"], "--sequence-length 300 is more than tiny was made for (256"],
    [["--validation-split", "1"], 'error: Invalid --validation-split "1"'],
    [["--mix", "3,1"], "error: --mix has 2 weights for 1 data sets"],
    [["--data", "nowhere.jsonl"], "nowhere.jsonl"],
    [["--model", "facet_nano"], 'Unknown model "facet_nano". Did you mean "facet_nano_en"?'],
    [["--modules", "q_prj"], 'error: Unknown --modules "q_prj". Did you mean "q_proj"?'],
    [
      ["--optimizer", "lion", "--momentum", "0.9"],
      "error: The optimizer lion has no use for momentum; it has beta1, beta2.",
    ],
    [["--decay-fraction", "0.1"], 'error: decayFraction is for the schedule "wsd"'],
    [
      ["--method", "full", "--rank", "3"],
      'error: method "full" trains all weights and no adapter, so rank would be ignored.',
    ],
    [["--dora"], "error: DoRA has no form with Keras's variables. Use it with --layout standard."],
    [["--start", "pissa"], "error: PiSSA has no form with Keras's variables."],
    [["--layers", "0,7"], "error: --layers 0,7: the model has layers 0 to 2, no 7."],
    [["--rank-pattern", "o_proj=8"], '--rank-pattern: "o_proj" matches none of the layers'],
    [["--schedule", "linaer"], 'error: Unknown --schedule "linaer". Did you mean "linear"?'],
    [
      ["--learning-rte", "1"],
      "error: unknown option '--learning-rte'\n(Did you mean --learning-rate?)",
    ],
    [["--template", "{instruction} {answer}"], 'error: Unknown field in the template "answer"'],
  ])("refuses %j before it makes a run folder", async (args, message) => {
    const { code, stdout, stderr } = await finetune(...data, "--run", "refused", ...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
    expect(existsSync(path("refused"))).toBe(false);
  });

  it("leaves a folder that exists as it is", async () => {
    cpSync(path("peft"), path("taken"), { recursive: true });
    const { code, stderr } = await finetune(...data, "--run", "taken");
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: The run folder .*taken exists already\. Choose another --run/);
    expect(readdirSync(path("taken"))).toEqual(readdirSync(path("peft")));
  });

  it("stops at a loss that is no number, and keeps the last good checkpoint", async () => {
    const { code, stdout, stderr } = await finetune(
      ...[...data, "--run", "nan", "--learning-rate", "1e30", "--save-every", "1", "--json"],
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/error: The (loss|gradient) is not a finite number at step \d/);
    expect(readdirSync(path("nan", "checkpoints"))).not.toEqual([]);
  });
});

describe("facet finetune, interrupted", () => {
  const long = [...data, "--epochs", "40", "--learning-rate", "0.01", "--save-every", "1000"];
  const adapter = (run: string) => readFileSync(path(run, "adapter", "adapter_model.safetensors"));

  it.each(["SIGINT", "SIGTERM"] as const)(
    "by %s: saves the step, says how to go on, and goes on exactly",
    async (signal) => {
      const whole = `whole-${signal}`;
      const parts = `parts-${signal}`;
      expect((await finetune(...long, "--run", whole)).code).toBe(0);

      const running = startFacet(["finetune", ...long, "--run", parts, "--json"], folder);
      await running.says("Training 160/1600");
      running.process.kill(signal);
      const ended = await running.ended;
      const { status, steps } = JSON.parse(ended.stdout);
      expect({ code: ended.code, status }).toEqual({ code: 130, status: "interrupted" });
      expect(steps).toBeLessThan(1600);
      expect(ended.stderr).toContain("Finishing this step, then saving.");
      expect(ended.stderr).toContain(`npx facet finetune --resume --run ${parts}\n`);
      const checkpoint = latestCheckpoint(path(parts, "checkpoints"));
      expect(checkpoint).toMatch(new RegExp(`step-0*${steps}$`));

      const resumed = await finetune("--resume", "--run", parts, "--json");
      expect(resumed.stderr).toContain(`continuing after step ${steps}\n`);
      expect(JSON.parse(resumed.stdout)).toMatchObject({ status: "finished", steps: 1600 });
      expect(adapter(parts).equals(adapter(whole))).toBe(true);
    },
  );

  it("goes on exactly with another optimizer, schedule and an average, which it saves", async () => {
    const options = [
      ...[...data, "--epochs", "2", "--learning-rate", "0.01", "--optimizer", "adam8bit"],
      ...["--schedule", "wsd", "--warmup-steps", "3", "--lora-plus-ratio", "4", "--ema", "0.9"],
      ...["--weight-decay", "0.1", "--decay-exclude", "lora_b$"],
    ];
    expect((await finetune(...options, "--run", "average")).code).toBe(0);
    const [plain] = await Promise.all([
      finetune(...options.filter((option) => !["--ema", "0.9"].includes(option)), "--run", "last"),
      (async () => {
        const args = ["finetune", ...options, "--save-every", "1", "--run", "average-parts"];
        const running = startFacet(args, folder);
        await running.says("Training 16/80");
        running.process.kill("SIGKILL");
        await running.ended;
      })(),
    ]);
    expect(plain.code).toBe(0);
    expect((await finetune("--resume", "--run", "average-parts")).code).toBe(0);
    expect(adapter("average-parts").equals(adapter("average"))).toBe(true);
    expect(adapter("last").equals(adapter("average"))).toBe(false);
  });

  it("goes on exactly with norms and the embedding trained too, and exports what it trained", async () => {
    const options = [
      ...[...data, "--epochs", "1", "--batch-size", "2", "--learning-rate", "0.01"],
      ...["--also-train", "norms,embeddings"],
    ];
    expect((await finetune(...options, "--run", "also")).code).toBe(0);
    const args = ["finetune", ...options, "--save-every", "3", "--run", "also-parts"];
    const running = startFacet(args, folder);
    await running.says("Training 8/20");
    running.process.kill("SIGKILL");
    await running.ended;
    expect((await finetune("--resume", "--run", "also-parts")).code).toBe(0);
    expect(adapter("also-parts").equals(adapter("also"))).toBe(true);
    const config = JSON.parse(readFileSync(path("also", "adapter", "adapter_config.json"), "utf8"));
    expect(config.modules_to_save).toEqual([
      ...["embed_tokens", "input_layernorm", "lm_head", "norm", "post_attention_layernorm"],
    ]);

    const merge = ["export", "--adapter", "also", "--model", "tiny", "--to"];
    const merged = await runFacet([...merge, "merged", "--out", "also-merged"], folder);
    expect({ code: merged.code, stderr: merged.stderr }).toEqual({
      code: 0,
      stderr: merged.stderr,
    });
    const gguf = await runFacet([...merge, "gguf", "--out", "also.gguf"], folder);
    expect(gguf.stderr).toContain("error: A GGUF adapter holds low-rank matrices only");
    const checkpoint = latestCheckpoint(path("also", "checkpoints"))!;
    const losses = await Promise.all(
      [
        ["--model", "tiny", "--adapter", "also"],
        ["--model", "tiny", "--adapter", checkpoint],
        ["--model", "also-merged"],
        ["--model", "tiny"],
      ].map(async (model) => {
        const args = ["evaluate", ...model, ...data.slice(2), "--json"];
        return JSON.parse((await runFacet(args, folder)).stdout).loss;
      }),
    );
    expect(losses[1] / losses[0]).toBeCloseTo(1, 6);
    expect(losses[2] / losses[0]).toBeCloseTo(1, 6);
    expect(losses[0]).toBeLessThan(0.8 * losses[3]);
  });

  it("goes on exactly with all weights, and writes a model", async () => {
    const options = [
      ...[...data, "--method", "full", "--batch-size", "2", "--learning-rate", "0.002"],
      ...["--validation-split", "0.3", "--optimizer", "adafactor"],
    ];
    const whole = await finetune(...options, "--run", "full", "--json");
    expect({ code: whole.code, stderr: whole.stderr }).toEqual({ code: 0, stderr: whole.stderr });
    const { held_out, adapter: none, model, trainable_parameters } = JSON.parse(whole.stdout);
    expect({ none, model }).toEqual({ none: null, model: path("full", "model") });
    expect(trainable_parameters).toBeGreaterThan(100_000);
    const args = ["finetune", ...options, "--save-every", "3", "--run", "full-parts"];
    const running = startFacet(args, folder);
    await running.says("Training 6/");
    running.process.kill("SIGKILL");
    await running.ended;
    expect((await finetune("--resume", "--run", "full-parts")).code).toBe(0);
    const weights = (run: string) => readFileSync(path(run, "model", "model.safetensors"));
    expect(weights("full-parts").equals(weights("full"))).toBe(true);
    expect(held_out.after.loss).toBeLessThan(0.8 * held_out.before.loss);

    const args2 = ["evaluate", "--model", "full/model", ...data.slice(2), "--json"];
    const evaluated = JSON.parse((await runFacet(args2, folder)).stdout);
    expect(evaluated.loss).toBeLessThan(held_out.before.loss);
    const asAdapter = await runFacet(["evaluate", ...data, "--adapter", "full"], folder);
    expect(asAdapter.stderr).toContain("trained all weights, so it has a model and no adapter");
  });

  it.each([
    ["dora", ["--dora"]],
    ["pissa", ["--start", "pissa", "--alpha", "8"]],
    ["neftune", ["--neftune", "5", "--micro-batch-size", "1"]],
  ])("goes on exactly with %s, and exports what it trained", async (method, given) => {
    const options = [
      ...[...data, "--epochs", "2", "--batch-size", "2", "--learning-rate", "0.01"],
      ...["--layout", "standard", "--modules", "all-linear", ...given],
    ];
    expect((await finetune(...options, "--run", method)).code).toBe(0);
    const parts = `${method}-parts`;
    const args = ["finetune", ...options, "--save-every", "3", "--run", parts];
    const running = startFacet(args, folder);
    await running.says("Training 12/40");
    running.process.kill("SIGKILL");
    await running.ended;
    expect((await finetune("--resume", "--run", parts)).code).toBe(0);
    expect(adapter(parts).equals(adapter(method))).toBe(true);

    const checkpoint = latestCheckpoint(path(method, "checkpoints"))!;
    const losses = await Promise.all(
      [method, checkpoint].map(async (given) => {
        const args = ["evaluate", ...data, "--adapter", given, "--json"];
        return JSON.parse((await runFacet(args, folder)).stdout).loss;
      }),
    );
    expect(losses[0] / losses[1]).toBeCloseTo(1, 5);
    const base = await runFacet(["evaluate", ...data, "--json"], folder);
    expect(losses[0]).toBeLessThan(0.7 * JSON.parse(base.stdout).loss);
  });

  it("refuses options that resuming would ignore", async () => {
    const args = ["--resume", "--run", "first", "--rank", "3", "--no-shuffle"];
    const { code, stderr } = await finetune(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: --resume continues .* so --rank, --shuffle would be ignored/);
  });

  it("refuses to resume nothing", async () => {
    expect((await finetune("--resume", "--run", "nothing")).stderr).toContain(
      "error: There is no run to resume in ",
    );
    expect((await finetune("--resume")).stderr).toContain("error: --resume needs --run");
  });

  it("refuses to resume on other data", async () => {
    const own = path("own.jsonl");
    cpSync(path("rows.jsonl"), own);
    const start = ["--model", "tiny", "--data", "own.jsonl", "--sequence-length", "64"];
    const running = startFacet(["finetune", ...start, "--run", "moved", "--epochs", "99"], folder);
    await running.says("Training 1/");
    running.process.kill("SIGKILL");
    await running.ended;
    writeFileSync(own, readFileSync(own, "utf8").replace("How many", "How much"));
    const { code, stderr } = await finetune("--resume", "--run", "moved");
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: The data, the template or the base model of .* has changed/);
  });
});
