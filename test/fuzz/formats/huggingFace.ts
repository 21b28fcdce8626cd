import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeHuggingFace } from "../../../src/checkpoints/huggingFace.js";
import { readModel as readAnyModel } from "../../../src/checkpoints/modelFiles.js";
import { readGemmaConfig, toHuggingFaceConfig } from "../../../src/models/gemma/config.js";
import { gemmaWeightSpecs } from "../../../src/models/gemma/weights.js";
import { sentencePieceBytes } from "../../../src/tokenizers/modelFileWriting.js";
import { readSentencePiece } from "../../../src/tokenizers/sentencePiece.js";
import { readTokenizer } from "../../../src/tokenizers/tokenizerFiles.js";
import { toTokenizerJson } from "../../../src/tokenizers/tokenizerJson.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import type { Files } from "../memoryFolder.js";
import {
  fileOf,
  fixture,
  tinyCheckpoint,
  tinyConfig,
  tinyTokenizer,
  written,
} from "../tinyModel.js";
import { useTensor, useTokenizer } from "../use.js";

const familyNames = ["gemma", "gemma2", "gemma3_text"] as const;
const configs = familyNames.map(tinyConfig);

export const config: FuzzedFormat = {
  name: "config",
  seeds: () => {
    const own = configs.map((each) => JSON.stringify(toHuggingFaceConfig(each, "float32")));
    const theirs = ["gemma1_tiny", "gemma2_tiny", "gemma3_tiny"].flatMap((name) =>
      ["config.json", "config.transformers5.json"].map((file) =>
        Buffer.from(fixture(`${name}/${file}`)).toString(),
      ),
    );
    const text = JSON.parse(own[2]!);
    const multimodal = JSON.stringify({ model_type: "gemma3", text_config: text });
    return [...own, ...theirs, multimodal].map((json) => fileOf("config.json", json));
  },
  read(folder) {
    const read = readGemmaConfig(folder);
    const { layers } = read.slidingWindow ?? {};
    expectThat((layers?.length ?? read.numLayers) === read.numLayers, "a window for each layer");
    expectThat(gemmaWeightSpecs(read).length > 8, "tensors");
  },
};

export const tokenizerModel: FuzzedFormat = {
  name: "tokenizer-model",
  seeds: () => {
    const { pieces, scores, types, ...rest } = tinyTokenizer();
    const whitespace = { addDummyPrefix: true, removeExtraWhitespaces: true };
    const models = [
      tinyTokenizer(),
      { ...rest, pieces, scores, types, ...whitespace },
      tinyTokenizer({ bytes: true }),
    ];
    return [...models.map(sentencePieceBytes), fixture("tok512/tokenizer.model")].map((bytes) =>
      fileOf("tokenizer.model", bytes),
    );
  },
  read: (folder) => useTokenizer(readSentencePiece(join(folder, "tokenizer.model"))),
};

export const tokenizerJson: FuzzedFormat = {
  name: "tokenizer-json",
  seeds: () => {
    const text = toTokenizerJson(tinyTokenizer({ bytes: true }));
    const prefixed = { ...tinyTokenizer({ bytes: true }), addDummyPrefix: true };
    return [text, JSON.stringify(JSON.parse(text)), toTokenizerJson(prefixed)].map((json) =>
      fileOf("tokenizer.json", json),
    );
  },
  read(folder) {
    const model = readTokenizer(folder, 1000);
    if (model !== undefined) useTokenizer(model);
  },
};

/** The files of a model's folder that Facet reads. */
async function modelFiles(write: (folder: string) => Promise<void>): Promise<Files> {
  const files = await written(write);
  const read = /(^config\.json|\.safetensors|index\.json|tokenizer\.model|_config\.json|\.jinja)$/;
  return new Map([...files].filter(([name]) => read.test(name) && !name.startsWith("generation")));
}

/** A whole folder: the weights, and what says how text goes in and out. */
export const huggingFace: FuzzedFormat = {
  name: "hugging-face",
  seeds: () =>
    Promise.all([
      ...familyNames.map((family) =>
        modelFiles((folder) => writeHuggingFace(folder, tinyCheckpoint(family), {})),
      ),
      modelFiles(async (folder) => {
        const model = tinyCheckpoint("gemma");
        await writeHuggingFace(folder, { ...model, chatTemplate: undefined }, { shardBytes: 300 });
        // Where older versions of Transformers have the template.
        const json = JSON.stringify({ chat_template: model.chatTemplate, bos_token: "<bos>" });
        writeFileSync(join(folder, "tokenizer_config.json"), json);
      }),
    ]),
  read(folder) {
    const { tensors, chatTemplate } = readAnyModel(folder);
    expectThat(typeof (chatTemplate ?? "") === "string", "text");
    for (const tensor of tensors.values()) useTensor(tensor);
  },
};
