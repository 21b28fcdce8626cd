import { describe, expect, it } from "vitest";
import { fixture } from "../support/modelFolder.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const run = (args: readonly string[], input = "") =>
  runFacet(["generate", "--model", "tiny", "--max-length", "24", ...args], folder, input);
const json = async (args: readonly string[], input = "") =>
  JSON.parse((await run([...args, "--json"], input)).stdout);

describe.concurrent("facet generate", () => {
  it("prints one JSON object for one prompt", async () => {
    const { stdout, stderr } = await run(["--prompt", "The sea", "--json"]);
    const result = JSON.parse(stdout);
    expect(stderr).toBe("");
    expect(result).toMatchObject({ model: "tiny", prompt: "The sea" });
    expect(result.text).toBe(result.prompt + result.completion);
    expect(result.prompt_tokens + result.new_tokens).toBeLessThanOrEqual(24);
    expect(result.finish).toBe(result.prompt_tokens + result.new_tokens < 24 ? "stop" : "length");
    expect(result.tokens_per_second).toBeGreaterThan(0);
  });

  it("streams the same text to a pipe", async () => {
    const { text } = await json(["--prompt", "The sea"]);
    const { stdout, stderr } = await run(["--prompt", "The sea"]);
    expect(stdout).toBe(`${text}\n`);
    expect(stderr).toBe("");
  });

  it("gives several prompts what each gets alone", async () => {
    const sampling = [
      ...["--sampler", "top_k", "--top-k", "9", "--temperature", "2", "--seed", "5"],
      ...["--repetition-penalty", "1.3"],
    ];
    const prompts = ["The sea", "Why is it so?"];
    const both = await json([...prompts.flatMap((p) => ["--prompt", p]), ...sampling]);
    expect(both.results).toHaveLength(2);
    for (const [i, prompt] of prompts.entries()) {
      const { text, finish } = await json(["--prompt", prompt, ...sampling]);
      expect(both.results[i]).toMatchObject({ prompt, text, finish });
    }
  });

  it("repeats itself less with a repetition penalty", async () => {
    const plain = await json(["--prompt", "The sea"]);
    const penalised = await json(["--prompt", "The sea", "--repetition-penalty", "5"]);
    expect(penalised.completion).not.toBe(plain.completion);
    expect(await json(["--prompt", "The sea", "--repetition-penalty", "1"])).toMatchObject({
      completion: plain.completion,
    });
  });

  it("reads a prompt from stdin as it is", async () => {
    expect((await json(["--prompt", "-"], "Instruction:\nGo\n")).prompt).toBe("Instruction:\nGo\n");
  });

  it("puts an adapter on the model", async () => {
    const base = await json(["--prompt", "The sea"]);
    const tuned = await json(["--prompt", "The sea", "--adapter", "peft"]);
    expect(tuned.completion).not.toBe(base.completion);
  });

  it("answers with several adapters in turn, and by the model alone", async () => {
    const adapters = ["peft", fixture("gemma1_tiny/peft_all")];
    const both = await json(["--prompt", "The sea", ...adapters.flatMap((a) => ["--adapter", a])]);
    const names = both.adapters.map((one: { adapter: string }) => one.adapter);
    expect(names).toEqual([...adapters, "none"]);
    for (const [i, adapter] of [...adapters, undefined].entries()) {
      const alone = await json(["--prompt", "The sea", ...(adapter ? ["--adapter", adapter] : [])]);
      expect(both.adapters[i].completion).toBe(alone.completion);
    }
    const shown = await run(["--prompt", "The sea", ...adapters.flatMap((a) => ["--adapter", a])]);
    const texts = both.adapters.map(({ text }: { text: string }) => `${text}\n`);
    expect(shown.stdout).toBe(texts.join(""));
    expect(shown.stderr).toContain("peft:\n");
  });

  it.each([
    [["--prompt", "x", "--max-length", "9999"], "error: tiny was made for at most 256 tokens"],
    [["--prompt", "x".repeat(400)], "error: A prompt has 4"],
    [["--prompt", "x", "--sampler", "gredy"], 'error: Unknown --sampler "gredy". Did you mean'],
    [["--prompt", "x", "--top-k", "3"], "error: --top-k has a meaning only with --sampler top_k"],
    [["--prompt", "x", "--temperature", "0"], 'error: Invalid --temperature "0"'],
    [["--prompt", "x", "--repetition-penalty", "0"], 'error: Invalid --repetition-penalty "0"'],
    [["--prompt", "x", "--repetition-penalty", "-1"], 'error: Invalid --repetition-penalty "-1"'],
    [["--prompt", "-", "--prompt", "-"], "error: --prompt - reads all of stdin"],
    [["--prompt", "x", "--adapter", "nowhere"], "error: nowhere is no adapter"],
    [
      ["--prompt", "x", "--model", "gemma_2b_en"],
      "google/gemma-2b is not on this machine as a whole, and cannot be downloaded",
    ],
    [[], "error: required option --prompt not given"],
  ])("refuses %j before it prints anything", async (args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
