import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeGgufAdapter } from "../../src/adapters/gguf.js";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { type GgufFileType, writeGguf } from "../../src/checkpoints/gguf.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { openModel } from "../../src/hub/openModel.js";
import type { FamilyName } from "../../src/models/gemma/family.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import { type TinyFamily, tinyFamilies, tinyFamilyFolder } from "../support/tinyFamilies.js";
import { compareWithLlama } from "./compareWithLlama.js";
import { askLlama, llamaIsInstalled } from "./llama.js";

const architectures = {
  gemma1_tiny: "gemma",
  gemma2_tiny: "gemma2",
  gemma3_tiny: "gemma3_text",
} as const;
const tinyFolder = (name: TinyFamily) => tinyFamilyFolder(name, join(temporaryFolder(), name));

/** Writes a model's folder as GGUF; Facet opens that file again, whose rounded weights it then has too. */
async function written(folder: string, type: GgufFileType) {
  const place = temporaryFolder();
  const gguf = join(place, "model.gguf");
  writeGguf(gguf, readHuggingFace(folder), { type });
  return { gguf, model: await openModel(gguf, { cache: join(place, "converted") }) };
}

function writtenAdapter(matrices: ReadonlyMap<string, LoraMatrices>, family: FamilyName): string {
  const path = join(temporaryFolder(), "adapter.gguf");
  const options = { family, name: "adapter", type: "F32" } as const;
  writeGgufAdapter(path, { matrices, baseModel: undefined }, options);
  return path;
}

/** Longer than the sliding window of 8. */
const tinyPrompt = [2, 45, 301, 77, 410, 19, 260, 133, 98, 350, 31, 222];
/**
 * How far log-probabilities may be apart when weights are not float32. llama.cpp then rounds what it multiplies with
 * them, on a CPU, to the same type, and for both Q8_0 and Q4_0 to 8 bits in blocks of 32; Facet does not. In brackets:
 * the largest that was measured. The built-in model is in llamaModels.test.ts.
 */
const tolerances = {
  F16: 8e-3, // (4.9e-3)
  BF16: 5e-2, // (3.0e-2)
  Q8_0: 0.15, // (9.1e-2)
  Q4_0: 0.15, // (9.9e-2)
} as const;
const types = Object.keys(tolerances) as (keyof typeof tolerances)[];

describe.runIf(llamaIsInstalled)("llama.cpp, with each family of models that Facet wrote", () => {
  describe.each(tinyFamilies)("%s", (name) => {
    test("F32, with an adapter that Facet wrote", async () => {
      const folder = tinyFolder(name);
      const { gguf } = await written(folder, "F32");
      const model = await openModel(folder);
      const peft = fixture(`${name}/peft_all`);
      const { matrices } = readPeftAdapter(peft);
      const ggufAdapter = writtenAdapter(matrices, architectures[name]);
      const adapter = await loadAdapter(peft, gemmaModules(model.config));
      const options = { gguf, ggufAdapter, model, adapter, prompt: tinyPrompt };
      const { tokens, ours, largest } = await compareWithLlama(options);
      expect(ours).toEqual(tokens);
      expect(largest.withHalfGelu).toBeLessThan(2e-3);
    });

    // The weights are random, so many tokens are almost as likely as the first.
    test.each(types)("%s", async (type) => {
      const { gguf, model } = await written(tinyFolder(name), type);
      const options = { gguf, model, prompt: tinyPrompt };
      const { shortfall, largest } = await compareWithLlama(options);
      expect(largest.asIs).toBeLessThan(tolerances[type]);
      expect(shortfall).toBeLessThan(2 * tolerances[type]);
    });
  });

  describe("a tokenizer's ids", () => {
    // Not here: U+2581 itself next to a space, where llama.cpp joins no user-defined piece of both.
    const texts = [
      ...["  the", "   the and", "      the", "a\n \n  \n the", "x          of", "<b>the</b>"],
      ...[
        "",
        " ",
        "  ",
        "   a",
        "a  b   c ",
        " leading and trailing ",
        "\n",
        "\n\n\n",
        "a\n b\n\nc\n",
      ],
      ...["\t", "\ta\t\tb", "\r\n", "a\u00a0b", "\u2581", "a\u2581b", "\u200b\ufeff"],
      ...["0", "1234567890", "3.14159, 1,000,000 and 007", "x1y22z333", "۱۲۳ ४५६ Ⅻ ½"],
      ...[
        "😀",
        "a 👩‍👩‍👧‍👦 b",
        "🇩🇪🏳️‍🌈",
        "é e\u0301 ﬁ ß İ",
        "日本語のテキスト",
        "Привет, мир!",
        "مرحبا",
        "𝔘𝔫𝔦",
      ],
      ...[
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "a<bos>b",
        "<bos><eos>",
        "<0x0A>",
        "<0xFF>a",
        "</s><s>",
      ],
      ...["<start_of_turn>user\nHi", "<|im_end|>", "[PAD12]", "\u0000", "\u0001\u007f"],
      ...[
        'Once upon a time, there was a Fox who said: "Don\'t!"',
        "const x = { a: [1, 2] };\n\treturn x;",
      ],
      "Dear reader, ".repeat(50),
    ];

    const chats = [
      "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
      "a <end_of_turn> b<end_of_turn><end_of_turn>\n\n",
    ];

    test.each(["tok512", "facet_nano_en"])("%s", async (name) => {
      const folder =
        name === "tok512" ? tinyFolder("gemma1_tiny") : (await openModel("facet_nano_en")).folder;
      const { gguf, model } = await written(folder, "F16");
      const { encode } = model.tokenizer!;
      expect(await idsOf(gguf, texts, false)).toEqual(new Map(texts.map((t) => [t, encode(t)])));
      // llama.cpp makes `<end_of_turn>` a control token, whatever the file says, which Gemma's own tokenizer does not.
      expect(await idsOf(gguf, chats, true)).toEqual(new Map(chats.map((t) => [t, encode(t)])));
    });
  });
});

async function idsOf(model: string, texts: readonly string[], controlTokens: boolean) {
  const reply = await askLlama({ model, texts, controlTokens });
  return new Map(texts.map((text, i) => [text, reply.texts[i]]));
}
