import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { finetuneJsonSchema } from "../../src/cli/schema.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const path = (...names: string[]) => join(folder, ...names);
const finetune = (...args: string[]) => runFacet(["finetune", ...args], folder);
const config = [
  "model: tiny",
  "data: rows.jsonl",
  "run: from-file",
  "sequenceLength: 64",
  "maxSteps: 3",
  "rank: 2",
  "modules: [q_proj, o_proj]",
  "threads: 1",
  "",
].join("\n");
writeFileSync(path("run.yaml"), config);

describe("facet finetune --config", () => {
  it("takes the options of a file, which flags override", async () => {
    const { code, stderr } = await finetune(
      ...["--config", "run.yaml", "--run", "other", "--max-steps", "2", "--modules", "v_proj"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    expect(existsSync(path("from-file"))).toBe(false);
    const saved = JSON.parse(readFileSync(path("other", "run.json"), "utf8"));
    expect(saved.config).toMatchObject({ rank: 2, maxSteps: 2, modules: ["v_proj"] });
  });

  it("gives what the same options give as flags", async () => {
    writeFileSync(path("run.json"), JSON.stringify({ model: "tiny", data: ["rows.jsonl"] }));
    const options = [
      "--sequence-length",
      "64",
      "--max-steps",
      "3",
      "--rank",
      "2",
      "--threads",
      "1",
    ];
    const modules = ["--modules", "q_proj,o_proj", "--run", "from-flags"];
    const [file, flags] = await Promise.all([
      finetune("--config", "run.yaml"),
      finetune("--config", "run.json", ...options, ...modules),
    ]);
    expect([file.code, flags.code]).toEqual([0, 0]);
    const adapter = (run: string) =>
      readFileSync(path(run, "adapter", "adapter_model.safetensors"));
    expect(adapter("from-file").equals(adapter("from-flags"))).toBe(true);
  });

  it.each([
    ["learning_rate: 1", 'line 9: Unknown option "learning_rate". Did you mean "learningRate"?'],
    ["rank: 0", "line 6: "],
    ["optimizer: adamx", "line 9: optimizer: "],
    ["lora:\n  rank: 8", 'line 9: Unknown option "lora"'],
    ["filter: no-context", "line 9: filter: "],
  ])("refuses %j with its line", async (line, message) => {
    const name = line.split(":")[0]!;
    const lines = config.split("\n");
    const at = lines.findIndex((one) => one.startsWith(`${name}:`));
    if (at >= 0) lines[at] = line;
    else lines.splice(8, 0, line);
    writeFileSync(path("wrong.yaml"), lines.join("\n"));
    const { code, stdout, stderr } = await finetune("--config", "wrong.yaml");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`wrong.yaml, ${message}`);
  });

  it("says what neither the file nor a flag gives", async () => {
    writeFileSync(path("part.yaml"), "rank: 2\nmodel: tiny\n");
    const { stderr } = await finetune("--config", "part.yaml");
    expect(stderr).toBe("error: required option --data not given\n");
  });

  it("is refused where a run is resumed", async () => {
    const { stderr } = await finetune("--config", "run.yaml", "--resume", "--run", "other");
    expect(stderr).toMatch(/error: --resume continues .* so --config would be ignored/);
  });
});

describe("facet schema", () => {
  it("writes the JSON Schema of the file: every option, with its type, default and description", async () => {
    const { code, stdout } = await runFacet(["schema"], folder);
    expect(code).toBe(0);
    const schema = JSON.parse(stdout);
    expect(schema).toEqual(JSON.parse(JSON.stringify(finetuneJsonSchema())));
    expect(schema).toMatchObject({ type: "object", additionalProperties: false });
    expect(schema.required).toBe(undefined);
    expect(schema.properties.rank).toMatchObject({
      type: "integer",
      exclusiveMinimum: 0,
      default: 4,
      description: "LoRA rank",
    });
  });
});
