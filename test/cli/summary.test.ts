import { describe, expect, it } from "vitest";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const json = async (...args: string[]) =>
  JSON.parse((await runFacet(["summary", ...args, "--json"], folder)).stdout);

describe.concurrent("facet summary", () => {
  it("counts a preset whose weights are not here", async () => {
    expect(await json("--model", "gemma_2b_en")).toMatchObject({
      model: "gemma_2b_en",
      total_parameters: 2_506_172_416,
      trainable_parameters: 2_506_172_416,
      non_trainable_parameters: 0,
      lora: null,
    });
  });

  it("counts an adapter with it", async () => {
    expect(await json("--model", "gemma_2b_en", "--rank", "4")).toMatchObject({
      total_parameters: 2_507_536_384,
      trainable_parameters: 1_363_968,
      non_trainable_parameters: 2_506_172_416,
      lora: { rank: 4, alpha: 4, layout: "keras", modules: ["q_proj", "v_proj"] },
    });
  });

  it("takes layout and modules, and a model folder", async () => {
    const adapter = ["--rank", "2", "--layout", "standard", "--modules", "o_proj"];
    const summary = await json("--model", "tiny", ...adapter);
    // Three layers, 64 × 64.
    expect(summary.trainable_parameters).toBe(3 * 2 * (64 + 64));
    expect(summary.layers[1]).toMatchObject({
      name: "decoder_block_0",
      output_shape: [null, null, 64],
      trainable_parameters: 2 * (64 + 64),
    });
  });

  it("is a table without colours in a pipe", async () => {
    const { stdout, stderr } = await runFacet(["summary", "--model", "gemma_2b_en"], folder);
    expect(stdout).toContain("│ decoder_block_0…17 (18 ×) │");
    expect(stdout).toContain("Total params: 2,506,172,416 (9.34 GiB)");
    expect(stdout).not.toContain("\u001B");
    expect(stderr).toBe("");
  });

  it.each([
    [["--model", "gema_2b_en"], 'error: Unknown model "gema_2b_en". Did you mean "gemma_2b_en"?'],
    [["--model", "./nowhere"], "error: There is no folder "],
    [["--model", "tiny", "--layout", "standard"], "error: --layout describes a LoRA adapter"],
    [["--model", "tiny", "--rank", "0"], 'error: Invalid --rank "0"'],
    [["--model", "tiny", "--rank", "65"], "error: LoRA rank must be a whole number from 1 to"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await runFacet(["summary", "--json", ...args], folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
