import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ggufAdapterFileName, readGgufAdapter, writeGgufAdapter } from "../../src/adapters/gguf.js";
import { readGguf } from "../../src/formats/gguf/readGguf.js";
import type { GgufValue } from "../../src/formats/gguf/values.js";
import { writeGguf } from "../../src/formats/gguf/writeGguf.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { temporaryFolder } from "../formats/temporaryFolder.js";
import { fixture } from "../support/modelFolder.js";

const at = temporaryFolder();
const peft = (which: string) => readPeftAdapter(fixture(`gemma1_tiny/peft_${which}`)).matrices;
const llamaCpp = (which: string) => fixture(`gguf/gemma1_lora_${which}.gguf`);

const Q0 = "model.layers.0.self_attn.q_proj";
const DOWN1 = "model.layers.1.mlp.down_proj";

function lora(rank: number, scale: number, changes: Partial<LoraMatrices> = {}): LoraMatrices {
  const filled = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i + length));
  const sizes = { rank, inFeatures: 3, outFeatures: 2, scale };
  return { a: filled(rank * 3), b: filled(2 * rank), ...sizes, ...changes };
}

/** scale · B A, [out, in]. */
function update({ a, b, rank, inFeatures, outFeatures, scale }: LoraMatrices): number[] {
  return Array.from({ length: outFeatures * inFeatures }, (_, i) => {
    const [row, column] = [Math.floor(i / inFeatures), i % inFeatures];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * inFeatures + column]!;
    return scale * sum;
  });
}

const options = { family: "gemma2", name: "Small", type: "F32" } as const;
const write = (matrices: Record<string, LoraMatrices>, changes: object = {}) => {
  const adapter = { matrices: new Map(Object.entries(matrices)), baseModel: undefined };
  writeGgufAdapter(at("a.gguf"), adapter, { ...options, ...changes });
};

describe("a GGUF adapter", () => {
  test.each(["qv", "all"])("of llama.cpp's converter has PEFT's matrices (%s)", (which) => {
    const { family, matrices, baseModel } = readGgufAdapter(llamaCpp(which));
    expect(family).toBe("gemma");
    expect(baseModel).toBeUndefined();
    expect(matrices).toEqual(peft(which));
  });

  test.each([
    ["qv", "Peft_Qv"],
    ["all", "Peft_All"],
  ])("of PEFT's matrices has the bytes of llama.cpp's converter (%s)", (which, name) => {
    const adapter = { matrices: peft(which), baseModel: undefined };
    writeGgufAdapter(at("a.gguf"), adapter, { family: "gemma", name, type: "F32" });
    expect(readFileSync(at("a.gguf")).equals(readFileSync(llamaCpp(which)))).toBe(true);
  });

  test("names its base model", () => {
    const adapter = { matrices: new Map([[Q0, lora(2, 1)]]), baseModel: "google/gemma-2-2b" };
    writeGgufAdapter(at("a.gguf"), adapter, options);
    expect(readGgufAdapter(at("a.gguf"))).toEqual({ ...adapter, family: "gemma2" });
  });

  test("keeps ranks apart, and folds scales that one alpha cannot give into B", () => {
    const matrices: Record<string, LoraMatrices> = { [Q0]: lora(2, 0.75), [DOWN1]: lora(4, -2) };
    write(matrices);
    const { matrices: read } = readGgufAdapter(at("a.gguf"));
    for (const [module, { rank, scale }] of read) {
      expect(scale).toBe(4 / rank);
      const wanted = update(matrices[module]!);
      update(read.get(module)!).forEach((value, i) => {
        expect(value).toBeCloseTo(wanted[i]!, 6);
      });
    }
  });

  test("never has alpha 0, which llama.cpp takes for none", () => {
    write({ [Q0]: lora(2, 0) });
    expect(readGguf(at("a.gguf")).metadata.get("adapter.lora.alpha")?.value).toBe(2);
    expect(
      readGgufAdapter(at("a.gguf"))
        .matrices.get(Q0)!
        .b.every((x) => x === 0),
    ).toBe(true);
  });

  test("in F16 holds the nearest halves", () => {
    write({ [Q0]: lora(2, 1) }, { type: "F16" });
    const { a } = readGgufAdapter(at("a.gguf")).matrices.get(Q0)!;
    const exact = lora(2, 1).a;
    a.forEach((value, i) => {
      expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(2 ** -11 * Math.abs(exact[i]!));
    });
    expect(readGguf(at("a.gguf")).tensors.get("blk.0.attn_q.weight.lora_a")?.type).toBe("F16");
  });

  test("is called as llama.cpp's converters call it", () => {
    expect(ggufAdapterFileName("google/gemma 2b", "F16")).toBe("google-gemma-2b-F16-LoRA.gguf");
  });
});

describe("writeGgufAdapter refuses", () => {
  test.each<[string, Record<string, LoraMatrices>, object, RegExp]>([
    ["no matrices", {}, {}, /adapts no layer/],
    [
      "DoRA",
      { [Q0]: lora(2, 1, { magnitude: Float32Array.of(1, 2) }) },
      {},
      /DoRA adapter .*Export the merged model/,
    ],
    [
      "an adapter of the embedding",
      { "model.embed_tokens": lora(2, 1) },
      {},
      /model\.embed_tokens is none\. Export the merged model/,
    ],
    [
      "values beyond the range of F16",
      { [Q0]: lora(2, 1, { a: new Float32Array(6).fill(1e5) }) },
      { type: "F16" },
      /100000, which F16 cannot hold\. Write F32/,
    ],
  ])("%s", (_, matrices, changes, message) => {
    expect(() => write(matrices, changes)).toThrow(message);
    expect(existsSync(at("a.gguf"))).toBe(false);
  });
});

describe("readGgufAdapter refuses", () => {
  const text = (value: string): GgufValue => ({ type: "string", value });
  const f32 = (value: number): GgufValue => ({ type: "float32", value });
  test.each<[string, [string, GgufValue], RegExp]>([
    ["a model", ["general.type", text("model")], /a\.gguf is a model, not a LoRA adapter/],
    ["another kind of adapter", ["adapter.type", text("cvec")], /an adapter of the type cvec/],
    [
      "another architecture",
      ["general.architecture", text("gemma4")],
      /architecture of .*a\.gguf "gemma4".*Known: gemma, gemma2, gemma3/,
    ],
    [
      "an aLoRA",
      ["adapter.alora.invocation_tokens", { type: "array", of: "uint32", value: [5] }],
      /acts only after its invocation tokens/,
    ],
    ["a prompt prefix", ["adapter.lora.prompt_prefix", text("search: ")], /text of its own/],
    ["an alpha that is none", ["adapter.lora.alpha", f32(Number.NaN)], /alpha is NaN/],
    ["a negative alpha", ["adapter.lora.alpha", f32(-8)], /alpha is -8/],
    ["an alpha that is no float", ["adapter.lora.alpha", text("8")], /alpha is 8, no number/],
  ])("%s", (_, [key, value], message) => {
    write({ [Q0]: lora(2, 1) });
    const { metadata, tensors } = readGguf(at("a.gguf"));
    const rewritten = [...tensors].map(([name, { shape, type, read }]) => ({
      ...{ name, shape, type },
      data: read,
    }));
    writeGguf(at("a.gguf"), new Map([...metadata, [key, value]]), rewritten);
    expect(() => readGgufAdapter(at("a.gguf"))).toThrow(message);
  });

  const A = { name: "blk.0.attn_q.weight.lora_a", shape: [2, 3] };
  const B = { name: "blk.0.attn_q.weight.lora_b", shape: [2, 2] };
  test.each<[string, { name: string; shape: number[] }[], RegExp]>([
    ["no tensors", [], /no LoRA matrix/],
    ["a matrix without its partner", [A], /q_proj has lora_a but no lora_b/],
    ["another matrix without its partner", [B], /q_proj has lora_b but no lora_a/],
    ["ranks that differ", [A, { ...B, shape: [2, 3] }], /\[2,3\] and \[2,3\], not \[rank, in\]/],
    ["vectors", [{ ...A, shape: [2] }, B], /\[2\] and \[2,2\], not/],
    [
      "empty matrices",
      [
        { ...A, shape: [0, 3] },
        { ...B, shape: [2, 0] },
      ],
      /not \[rank, in\]/,
    ],
    ["other tensors", [A, B, { name: "blk.0.attn_norm.weight", shape: [3] }], /not a LoRA matrix/],
    [
      "an adapter of the embedding",
      [
        { ...A, name: "token_embd.weight.lora_a" },
        { ...B, name: "token_embd.weight.lora_b" },
      ],
      /adapts token_embd; Facet adapts only/,
    ],
  ])("%s", (_, tensors, message) => {
    write({ [Q0]: lora(2, 1) });
    const { metadata } = readGguf(at("a.gguf"));
    const zeros = (shape: number[]) => () => [new Float32Array(shape.reduce((a, b) => a * b, 1))];
    writeGguf(
      at("a.gguf"),
      metadata,
      tensors.map(({ name, shape }) => ({ name, shape, type: "F32", data: zeros(shape) })),
    );
    expect(() => readGgufAdapter(at("a.gguf"))).toThrow(message);
  });
});
