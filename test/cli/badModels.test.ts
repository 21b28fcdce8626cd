import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();

/** A copy of the model that `damage` has changed. */
function damaged(name: string, damage: (path: (file: string) => string) => void): string {
  cpSync(join(folder, "tiny"), join(folder, name), { recursive: true });
  damage((file) => join(folder, name, file));
  return name;
}

function changeConfig(path: string, changes: Record<string, unknown>): void {
  const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...config, ...changes }));
}

describe.concurrent("a model folder that cannot be used", () => {
  it.each([
    [
      damaged("truncated", (path) => truncateSync(path("model.safetensors"), 100_000)),
      /model\.safetensors: tensor "model\.embed_tokens\.weight" ends at byte .* truncated/,
    ],
    [
      damaged("garbage", (path) => writeFileSync(path("model.safetensors"), "not a tensor file")),
      /garbage\/model\.safetensors/,
    ],
    [damaged("weightless", (path) => rmSync(path("model.safetensors"))), /model\.safetensors/],
    [
      damaged("shardless", (path) => {
        rmSync(path("model.safetensors"));
        const map = { "model.norm.weight": "model-00002-of-00002.safetensors" };
        writeFileSync(path("model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
      }),
      /model-00002-of-00002\.safetensors/,
    ],
    [
      damaged("wide", (path) => changeConfig(path("config.json"), { intermediate_size: 256 })),
      /mlp\.gate_proj\.weight has shape \[128, 64\], expected \[256, 64\]/,
    ],
    [
      damaged("llama", (path) => changeConfig(path("config.json"), { model_type: "llama" })),
      /config\.json: model_type is "llama"/,
    ],
    [damaged("mute", (path) => rmSync(path("tokenizer.model"))), /mute has no tokenizer\.model/],
  ])("%s: one error that names the file", async (model, message) => {
    const { code, stdout, stderr } = await runFacet(
      ["generate", "--model", model, "--prompt", "x"],
      folder,
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("    at ");
  });
});
