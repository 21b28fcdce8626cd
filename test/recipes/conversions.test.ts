import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readPeft, writePeft } from "../../src/adapters/peft.js";
import { readAdapter } from "../../src/adapters/read.js";
import { exportAdapter } from "../../src/recipes/exportAdapter.js";
import type { ExportTargetName } from "../../src/recipes/exportTargets.js";
import { updateOf } from "../support/loraMatrices.js";
import { fixture } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const place = mkdtempSync(join(tmpdir(), "facet-conversions-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const at = (name: string) => join(place, name);
const modules = tiny.modules;

const sources = {
  PEFT: "peft",
  "PEFT, rsLoRA with patterns": "patterns",
  "PEFT, DoRA": "dora",
  "PEFT of layers whose B Keras can hold": "outputs",
  "Keras .lora.h5": "keras.lora.h5",
  MLX: "mlx",
  "GGUF adapter": "adapter.gguf",
} as const;
type Source = keyof typeof sources;

const names: Record<ExportTargetName, string> = {
  peft: "peft",
  keras: "written.lora.h5",
  gguf: "written.gguf",
  mlx: "mlx",
  ollama: "ollama",
  merged: "merged",
  "merged-gguf": "merged.gguf",
};
const adapterFiles: readonly ExportTargetName[] = ["peft", "keras", "gguf", "mlx"];

/** What a target cannot hold, and what the message says; every other arrow must be there. */
const refusals: Partial<Record<Source, Partial<Record<ExportTargetName, RegExp>>>> = {
  PEFT: { keras: /all heads of a layer share one B.*--to merged/ },
  "PEFT, rsLoRA with patterns": { keras: /all heads of a layer share one B.*--to merged/ },
  "PEFT, DoRA": { keras: /DoRA.*--to merged/, gguf: /DoRA.*GGUF cannot hold.*merged model/ },
  MLX: { keras: /all heads of a layer share one B.*--to merged/ },
  "GGUF adapter": { keras: /all heads of a layer share one B.*--to merged/ },
};

const convert = (adapter: string, to: ExportTargetName, out: string) =>
  exportAdapter(
    {
      ...{ adapter: at(adapter), model: at("model"), to, out: at(out), verify: true },
      ...(to === "ollama" && { template: "tutorial" }),
    },
    tiny.engine,
  );

beforeAll(async () => {
  for (const file of ["config.json", "model.safetensors"]) {
    cpSync(fixture(`gemma1_tiny/${file}`), join(at("model"), file));
  }
  cpSync(fixture("tok512/tokenizer.model"), join(at("model"), "tokenizer.model"));
  cpSync(fixture("gemma1_tiny/peft_all"), at("peft"), { recursive: true });
  cpSync(fixture("keras_gemma1_tiny/adapter.lora.h5"), at("keras.lora.h5"));

  cpSync(at("peft"), at("patterns"), { recursive: true });
  const path = join(at("patterns"), "adapter_config.json");
  const settings = {
    ...JSON.parse(readFileSync(path, "utf8")),
    use_rslora: true,
    alpha_pattern: { q_proj: 2, "0.mlp.up_proj": 12 },
  };
  writeFileSync(path, JSON.stringify(settings));

  const { matrices } = readPeft(at("peft"), modules);
  const dora = [...matrices].map(([name, lora]) => {
    const magnitude = Float32Array.from({ length: lora.outFeatures }, (_, i) => 1 + (i % 5) / 10);
    return [name, { ...lora, magnitude }] as const;
  });
  await writePeft(at("dora"), { matrices: new Map(dora), baseModel: "tiny" }, modules);
  const outputs = [...matrices].filter(([name]) => /o_proj|mlp/.test(name));
  await writePeft(at("outputs"), { matrices: new Map(outputs), baseModel: "tiny" }, modules);

  await convert("peft", "mlx", "mlx");
  await convert("peft", "gguf", "adapter.gguf");
});

const arrows = (Object.keys(sources) as Source[]).flatMap((from) =>
  (Object.keys(names) as ExportTargetName[]).map((to) => ({ from, to })),
);
const refusalOf = ({ from, to }: (typeof arrows)[number]) => refusals[from]?.[to];

describe("every adapter in, every adapter out", () => {
  test.each(arrows.filter((arrow) => !refusalOf(arrow)))("$from → $to", async ({ from, to }) => {
    const out = `${sources[from]}-to-${names[to]}`;
    const { proof } = await convert(sources[from], to, out);
    expect(proof).toMatchObject({ holds: true });
    if (!adapterFiles.includes(to)) return;
    // The logits could hide a small adapter that is lost: the updates themselves agree too.
    const [was, is] = [
      await readAdapter(at(sources[from]), modules),
      await readAdapter(at(out), modules),
    ];
    expect([...is.matrices.keys()].sort()).toEqual([...was.matrices.keys()].sort());
    for (const [name, lora] of was.matrices) {
      const [mine, theirs] = [updateOf(is.matrices.get(name)!), updateOf(lora)];
      const largest = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largest).toBeGreaterThan(0);
      mine.forEach((value, i) => {
        if (Math.abs(value - theirs[i]!) > 1e-6 * largest) expect(value).toBe(theirs[i]);
      });
      expect(is.matrices.get(name)!.magnitude).toEqual(lora.magnitude);
    }
  });

  test.each(arrows.filter(refusalOf))(
    "$from → $to is refused, and nothing is written",
    async (arrow) => {
      const out = `${sources[arrow.from]}-to-${names[arrow.to]}`;
      await expect(convert(sources[arrow.from], arrow.to, out)).rejects.toThrow(refusalOf(arrow));
      expect(existsSync(at(out))).toBe(false);
    },
  );

  test("no conversion leaves anything else behind", () => {
    const left = readdirSync(place).filter((name) => name.startsWith("."));
    expect(left).toEqual([]);
  });
});
