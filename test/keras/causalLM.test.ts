import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { writeGguf } from "../../src/checkpoints/gguf.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { views } from "../../src/engines/parameters.js";
import { readFloat32, readSafetensorsHeader } from "../../src/formats/safetensors.js";
import {
  AdamW,
  GemmaCausalLM,
  SparseCategoricalAccuracy,
  SparseCategoricalCrossentropy,
} from "../../src/index.js";
import { fixture, temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";

const keras = fixture("keras_gemma1_tiny");
const expected = JSON.parse(readFileSync(join(keras, "expected.json"), "utf8"));
const stored = readSafetensorsHeader(join(keras, "fit.safetensors")).tensors;
const lossesAndMetrics = () => ({
  loss: new SparseCategoricalCrossentropy({ fromLogits: true }),
  weightedMetrics: [new SparseCategoricalAccuracy()],
});

/** Keras's name of a LoRA variable. */
function kerasName(variable: string): string {
  const [, layer, target, matrix] = /layers\.(\d+)\.self_attn\.(.)_proj\.lora_(.)$/.exec(variable)!;
  return `decoder_block_${layer}/attention/${target === "q" ? "query" : "value"}/lora_kernel_${matrix}`;
}

/** The tiny model with LoRA of rank 4, its variables as the fixture says. */
async function loraModel(variables: string) {
  const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
  lm.backbone.enableLora({ rank: 4 });
  for (const [name, view] of Object.entries(loraVariables(lm))) {
    view.data.set(readFloat32(stored.get(`${variables}/${kerasName(name)}`)!));
  }
  return lm;
}

function loraVariables(lm: GemmaCausalLM) {
  const { slots, values } = lm.backbone.adapter!.parameters;
  return views(slots, values);
}

/** The fixture's rows are token ids: texts whose encoding they are. */
function trainingTexts(lm: GemmaCausalLM): string[] {
  const info = stored.get("data/token_ids")!;
  const file = readFileSync(info.file);
  const ids = new Int32Array(file.buffer.slice(info.offset, info.offset + info.byteLength));
  const { tokenizer } = lm.preprocessor;
  return Array.from({ length: 6 }, (_, row) =>
    tokenizer.decode(ids.subarray(row * 32, row * 32 + 32)),
  );
}

describe("fit, as Keras does it", () => {
  test.each([
    {
      name: "batches of 2",
      epochs: 1,
      batchSize: 2,
      key: "batch2_1epoch",
      after: "after_fit_batch2",
    },
    {
      name: "batches of 1, two epochs",
      epochs: 2,
      batchSize: 1,
      key: "batch1_2epochs",
      after: "after_fit_batch1_2epochs",
    },
  ])("$name: losses, accuracies and variables", async ({ epochs, batchSize, key, after }) => {
    const lm = await loraModel("init");
    lm.preprocessor.sequenceLength = 32;
    const optimizer = new AdamW({ learningRate: 5e-3, weightDecay: 0.01 });
    optimizer.excludeFromWeightDecay({ varNames: ["bias", "scale"] });
    lm.compile({ optimizer, ...lossesAndMetrics() });
    const running: { loss: number; sparse_categorical_accuracy: number }[] = [];
    const { history } = await lm.fit(trainingTexts(lm), {
      epochs,
      batchSize,
      shuffle: false,
      verbose: 0,
      callbacks: [{ onTrainBatchEnd: (_, logs) => void running.push(logs as (typeof running)[0]) }],
    });
    const truth = expected.fit[key];
    running.forEach((step, i) => {
      const { loss, sparse_categorical_accuracy: accuracy } = truth.running[i];
      expect(Math.abs(step.loss / loss - 1)).toBeLessThan(1e-5);
      expect(step.sparse_categorical_accuracy).toBeCloseTo(accuracy, 6);
    });
    expect(running.length).toBe(truth.running.length);
    expect(history.loss!.at(-1)).toBe(running.at(-1)!.loss);
    for (const [name, { data }] of Object.entries(loraVariables(lm))) {
      const wanted = readFloat32(stored.get(`${after}/${kerasName(name)}`)!);
      data.forEach((value, i) => {
        expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-5);
      });
    }
    await lm.close();
  });
});

test("validation data after every epoch, callbacks, and stopping early", async () => {
  const lm = await loraModel("after_fit_batch2");
  lm.preprocessor.sequenceLength = 32;
  lm.compile({
    optimizer: new AdamW({ learningRate: 1e-12, weightDecay: 0 }),
    ...lossesAndMetrics(),
  });
  const texts = trainingTexts(lm);
  const calls: string[] = [];
  const { history } = await lm.fit(texts, {
    epochs: 3,
    batchSize: 6,
    verbose: 0,
    validationData: texts,
    callbacks: [
      {
        onTrainBegin: () => void calls.push("begin"),
        onEpochBegin: (epoch) => void calls.push(`epoch ${epoch}`),
        onTrainBatchEnd: (batch) => void calls.push(`batch ${batch}`),
        onEpochEnd: (epoch) => {
          calls.push(`ended ${epoch}`);
          lm.stopTraining = epoch === 1;
        },
        onTrainEnd: () => void calls.push("end"),
      },
    ],
  });
  expect(calls).toEqual([
    "begin",
    "epoch 0",
    "batch 0",
    "ended 0",
    "epoch 1",
    "batch 0",
    "ended 1",
    "end",
  ]);
  const { loss, sparse_categorical_accuracy } = expected.fit.evaluate_after_batch2;
  expect(history.val_loss).toHaveLength(2);
  expect(Math.abs(history.val_loss![0]! / loss - 1)).toBeLessThan(1e-5);
  expect(history.val_sparse_categorical_accuracy![0]).toBeCloseTo(sparse_categorical_accuracy, 6);
  await lm.close();
});

test("LoRA in the standard layout, with targets, alpha and dropout", async () => {
  const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
  const targets = ["q_proj", "down_proj"];
  lm.backbone.enableLora({ rank: 2, layout: "standard", targets, alpha: 8, dropout: 0.5 });
  expect(lm.backbone.adapter!.parameters.slots.map(({ shape }) => shape).slice(0, 4)).toEqual([
    [2, 64],
    [64, 2],
    [2, 128],
    [64, 2],
  ]);
  lm.compile({ optimizer: new AdamW({ learningRate: 1e-3 }), ...lossesAndMetrics() });
  const losses = async (seed: number) => {
    lm.backbone.adapter!.parameters.values.fill(0.05);
    const { history } = await lm.fit(["the model and the time"], { seed, verbose: 0 });
    return history.loss![0];
  };
  // Dropout draws from the seed alone: the same seed drops the same, another one something else.
  expect(await losses(1)).toBe(await losses(1));
  expect(await losses(1)).not.toBe(await losses(2));
  await lm.close();
});

describe("generate", () => {
  test.each(
    expected.generate as {
      model: string;
      prompt: string;
      max_length: number;
      stop_token_ids: "auto" | null;
      text: string;
    }[],
  )(
    "$model, $max_length tokens, stop $stop_token_ids: the text of Keras",
    async ({ model, prompt, max_length, stop_token_ids, text }) => {
      const lm =
        model === "base"
          ? await GemmaCausalLM.fromPreset(tinyModelFolder())
          : await loraModel("after_fit_batch2");
      const stops = stop_token_ids === null ? { stopTokenIds: [] } : {};
      expect(await lm.generate(prompt, { maxLength: max_length, ...stops })).toBe(text);
      await lm.close();
    },
  );

  test("many prompts in one batch give what each gives alone", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
    const prompts = ["the model", "Instruction:\nWhat is the time?\n\nResponse:\n", "a"];
    const alone: string[] = [];
    for (const prompt of prompts) alone.push(await lm.generate(prompt, { maxLength: 40 }));
    expect(await lm.generate(prompts, { maxLength: 40 })).toEqual(alone);
    await lm.close();
  });

  test("a stream is the same text in pieces", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
    const whole = await lm.generate("the model", { maxLength: 32, stripPrompt: true });
    let streamed = "";
    for await (const piece of lm.stream("the model", { maxLength: 32 })) streamed += piece;
    expect(streamed).toBe(whole);
    await lm.close();
  });
});

describe("score", () => {
  test("logits of token ids are those of Transformers", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder({ tokenizer: false }));
    const truth = readSafetensorsHeader(fixture("gemma1_tiny/expected.safetensors")).tensors;
    const info = truth.get("nopad/input_ids")!;
    const file = readFileSync(info.file);
    const ids = new Int32Array(file.buffer.slice(info.offset, info.offset + info.byteLength));
    const rows = [0, 1].map((row) => [...ids.subarray(row * 20, row * 20 + 20)]);
    const logits = await lm.score(rows, { scoringMode: "logits" });
    const wanted = readFloat32(truth.get("nopad/logits")!);
    expect(logits.shape).toEqual([2, 20, 512]);
    logits.data.forEach((value, i) => {
      expect(Math.abs(value - wanted[i]!)).toBeLessThan(2e-5);
    });
    const losses = await lm.score(rows, { scoringMode: "loss" });
    const nll = readFloat32(truth.get("nopad/nll")!);
    expect(losses.shape).toEqual([2, 20]);
    for (let row = 0; row < 2; row++) {
      for (let t = 0; t < 19; t++) {
        expect(Math.abs(losses.data[row * 20 + t]! - nll[row * 19 + t]!)).toBeLessThan(2e-5);
      }
    }
    await lm.close();
  });
});

describe("LoRA weights", () => {
  test("counts and shapes are Keras's", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
    expect(lm.countParams()).toBe(expected.params.before_lora);
    lm.backbone.enableLora({ rank: 4 });
    expect(lm.countParams()).toBe(expected.params.after_lora_total);
    const shapes = new Map(
      (expected.lora_variables as { path: string; shape: number[] }[]).map((v) => [
        v.path,
        v.shape,
      ]),
    );
    for (const [name, { shape }] of Object.entries(loraVariables(lm))) {
      expect(shape).toEqual(shapes.get(kerasName(name)));
    }
  });

  test("a Keras .lora.h5 file loads", async () => {
    const lm = await loraModel("init");
    await lm.backbone.loadLoraWeights(join(keras, "adapter.lora.h5"));
    for (const [name, { data }] of Object.entries(loraVariables(lm))) {
      expect(data).toEqual(readFloat32(stored.get(`after_fit_batch2/${kerasName(name)}`)!));
    }
  });

  test("a Keras .lora.h5 file is saved, and loads back", async () => {
    const lm = await loraModel("init");
    const path = join(temporaryFolder(), "adapter.lora.h5");
    await lm.backbone.saveLoraWeights(path);
    const { values } = lm.backbone.adapter!.parameters;
    const before = values.slice();
    values.fill(0);
    await lm.backbone.loadLoraWeights(path);
    expect(values).toEqual(before);
  });

  test("a preset is saved with the adapter merged, as in Keras, and computes the same", async () => {
    const lm = await loraModel("after_fit_batch2");
    const folder = join(temporaryFolder(), "saved_preset");
    await lm.saveToPreset(folder);
    const saved = await GemmaCausalLM.fromPreset(folder);
    const prompts = [[2, 45, 301, 7, 19, 88]];
    const [mine, theirs] = [await lm.score(prompts), await saved.score(prompts)];
    mine.data.forEach((value, i) => {
      expect(Math.abs(theirs.data[i]! - value)).toBeLessThan(2e-5);
    });
    await Promise.all([lm.close(), saved.close()]);
  });

  test("of a quantised model it says what is saved", async () => {
    const [place, warn] = [temporaryFolder(), vi.spyOn(console, "warn").mockReturnValue()];
    vi.stubEnv("FACET_HOME", place);
    const gguf = join(place, "tiny.gguf");
    writeGguf(gguf, readHuggingFace(tinyModelFolder()), { type: "Q8_0" });
    const lm = await GemmaCausalLM.fromPreset(gguf);
    await lm.saveToPreset(join(place, "saved"));
    const said = expect.stringContaining("The weights of tiny are quantised (Q8_0)");
    expect(warn.mock.calls).toEqual([[said]]);
    warn.mockRestore();
    vi.unstubAllEnvs();
    await lm.close();
  });

  test("what is saved is the exact PEFT twin, and loads back", async () => {
    const lm = await loraModel("init");
    const folder = join(temporaryFolder(), "adapter");
    await lm.backbone.saveLoraWeights(folder);
    const twin = readSafetensorsHeader(join(keras, "peft_from_keras/adapter_model.safetensors"));
    const saved = readSafetensorsHeader(join(folder, "adapter_model.safetensors"));
    for (const [name, wanted] of twin.tensors) {
      const mine = readFloat32(saved.tensors.get(name)!);
      const theirs = readFloat32(wanted);
      // The twin keeps each module's own rank; ours pads all of them to one with zeros.
      const kept = name.includes("lora_A")
        ? mine.subarray(0, theirs.length)
        : columns(mine, wanted.shape);
      expect(kept).toEqual(theirs);
    }
    const before = lm.backbone.adapter!.parameters.values.slice();
    lm.backbone.adapter!.parameters.values.fill(0);
    await lm.backbone.loadLoraWeights(folder);
    expect(lm.backbone.adapter!.parameters.values).toEqual(before);
  });
});

/** The first columns of a wider row-major matrix. */
function columns(wide: Float32Array, [rows, width]: readonly number[]): Float32Array {
  const stride = wide.length / rows!;
  return Float32Array.from(
    { length: rows! * width! },
    (_, i) => wide[Math.floor(i / width!) * stride + (i % width!)]!,
  );
}

describe("what cannot be done is said", () => {
  test("text without a tokenizer", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder({ tokenizer: false }));
    await expect(lm.generate("the model")).rejects.toThrow(/has no tokenizer\.model/);
    expect(await lm.generate([[2, 45, 301]], { maxLength: 6, stopTokenIds: [] })).toHaveLength(1);
    await lm.close();
  });

  test("token ids that the model was not made for", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
    const long = new Array<number>(257).fill(45);
    await expect(lm.generate([long, [2, 45]], { maxLength: 8 })).rejects.toThrow(
      /257 tokens; .* takes at most 256/,
    );
    await expect(lm.generate([[2, -1]], { maxLength: 8 })).rejects.toThrow(/-1 is no token id/);
    await lm.close();
  });

  test("a preset that is not known, or not on this machine", async () => {
    await expect(GemmaCausalLM.fromPreset("gemma_2b_e")).rejects.toThrow(
      /Did you mean "gemma_2b_en"/,
    );
    await expect(GemmaCausalLM.fromPreset("gemma_7b_en")).rejects.toThrow(
      /google\/gemma-7b is not on this machine .*HF_HUB_OFFLINE/,
    );
  });

  test("fit before LoRA, a rank that cannot be, an unknown layer or sampler", async () => {
    const lm = await GemmaCausalLM.fromPreset(tinyModelFolder());
    await expect(lm.fit(["a"])).rejects.toThrow(/enableLora/);
    expect(() => lm.backbone.enableLora({ rank: 0 })).toThrow(/rank must be a whole number from 1/);
    expect(() => lm.backbone.enableLora({ rank: 17 })).toThrow(/from 1 to 16/);
    expect(() => lm.backbone.enableLora({ rank: 4, targetLayerNames: ["querry"] })).toThrow(
      /Did you mean "query"/,
    );
    expect(() => lm.compile({ sampler: "greeddy" })).toThrow(/Did you mean "greedy"/);
    expect(() => new SparseCategoricalCrossentropy()).toThrow(/fromLogits/);
  });
});
