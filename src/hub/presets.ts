import { FacetError, unknownName } from "../errors.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import * as shapes from "./shapes.js";

/** A named model: its shape, and where its weights come from. The names are KerasHub's. */
export interface Preset {
  readonly config: GemmaConfig;
  readonly source: PresetSource;
}

/** The repository on Hugging Face that publishes the same weights, and KerasHub's own at Kaggle; or a folder that ships with Facet. */
export type PresetSource =
  | { readonly huggingFace: string; readonly kaggle: string }
  | { readonly bundled: string };

const published = (config: GemmaConfig, huggingFace: string, kaggle: string): Preset => ({
  config,
  source: { huggingFace, kaggle: `kaggle://${kaggle}` },
});

const { gemma2b, gemma7b, gemma2With2B, gemma2With9B, gemma2With27B } = shapes;
const { gemma3With270M, gemma3With1B, gemma3With4B, gemma3With12B, gemma3With27B } = shapes;

/** All Gemma 1, 2 and 3 text models of KerasHub (gemma_presets.py, gemma3_presets.py), and the built-in one. */
export const presets: Readonly<Record<string, Preset>> = {
  gemma_2b_en: published(gemma2b, "google/gemma-2b", "keras/gemma/keras/gemma_2b_en/3"),
  gemma_instruct_2b_en: published(
    gemma2b,
    "google/gemma-2b-it",
    "keras/gemma/keras/gemma_instruct_2b_en/3",
  ),
  "gemma_1.1_instruct_2b_en": published(
    gemma2b,
    "google/gemma-1.1-2b-it",
    "keras/gemma/keras/gemma_1.1_instruct_2b_en/4",
  ),
  "code_gemma_1.1_2b_en": published(
    gemma2b,
    "google/codegemma-1.1-2b",
    "keras/codegemma/keras/code_gemma_1.1_2b_en/2",
  ),
  code_gemma_2b_en: published(
    gemma2b,
    "google/codegemma-2b",
    "keras/codegemma/keras/code_gemma_2b_en/2",
  ),
  gemma_7b_en: published(gemma7b, "google/gemma-7b", "keras/gemma/keras/gemma_7b_en/4"),
  gemma_instruct_7b_en: published(
    gemma7b,
    "google/gemma-7b-it",
    "keras/gemma/keras/gemma_instruct_7b_en/4",
  ),
  "gemma_1.1_instruct_7b_en": published(
    gemma7b,
    "google/gemma-1.1-7b-it",
    "keras/gemma/keras/gemma_1.1_instruct_7b_en/5",
  ),
  code_gemma_7b_en: published(
    gemma7b,
    "google/codegemma-7b",
    "keras/codegemma/keras/code_gemma_7b_en/3",
  ),
  code_gemma_instruct_7b_en: published(
    gemma7b,
    "google/codegemma-7b-it",
    "keras/codegemma/keras/code_gemma_instruct_7b_en/3",
  ),
  "code_gemma_1.1_instruct_7b_en": published(
    gemma7b,
    "google/codegemma-1.1-7b-it",
    "keras/codegemma/keras/code_gemma_1.1_instruct_7b_en/3",
  ),
  gemma2_2b_en: published(gemma2With2B, "google/gemma-2-2b", "keras/gemma2/keras/gemma2_2b_en/2"),
  gemma2_instruct_2b_en: published(
    gemma2With2B,
    "google/gemma-2-2b-it",
    "keras/gemma2/keras/gemma2_instruct_2b_en/2",
  ),
  gemma2_9b_en: published(gemma2With9B, "google/gemma-2-9b", "keras/gemma2/keras/gemma2_9b_en/4"),
  gemma2_instruct_9b_en: published(
    gemma2With9B,
    "google/gemma-2-9b-it",
    "keras/gemma2/keras/gemma2_instruct_9b_en/4",
  ),
  gemma2_27b_en: published(
    gemma2With27B,
    "google/gemma-2-27b",
    "keras/gemma2/keras/gemma2_27b_en/3",
  ),
  gemma2_instruct_27b_en: published(
    gemma2With27B,
    "google/gemma-2-27b-it",
    "keras/gemma2/keras/gemma2_instruct_27b_en/3",
  ),
  shieldgemma_2b_en: published(
    gemma2With2B,
    "google/shieldgemma-2b",
    "google/shieldgemma/keras/shieldgemma_2b_en/2",
  ),
  shieldgemma_9b_en: published(
    gemma2With9B,
    "google/shieldgemma-9b",
    "google/shieldgemma/keras/shieldgemma_9b_en/2",
  ),
  shieldgemma_27b_en: published(
    gemma2With27B,
    "google/shieldgemma-27b",
    "google/shieldgemma/keras/shieldgemma_27b_en/2",
  ),
  c2s_scale_gemma_2_2b_en: published(
    gemma2With2B,
    "vandijklab/C2S-Scale-Gemma-2-2B",
    "keras/cell2sentence/keras/c2s_scale_gemma_2_2b_en/1",
  ),
  c2s_scale_gemma_2_27b_en: published(
    gemma2With27B,
    "vandijklab/C2S-Scale-Gemma-2-27B",
    "keras/cell2sentence/keras/c2s_scale_gemma_2_27b_en/1",
  ),
  gemma3_270m: published(gemma3With270M, "google/gemma-3-270m", "keras/gemma3/keras/gemma3_270m/3"),
  gemma3_instruct_270m: published(
    gemma3With270M,
    "google/gemma-3-270m-it",
    "keras/gemma3/keras/gemma3_instruct_270m/4",
  ),
  gemma3_1b: published(gemma3With1B, "google/gemma-3-1b-pt", "keras/gemma3/keras/gemma3_1b/3"),
  gemma3_instruct_1b: published(
    gemma3With1B,
    "google/gemma-3-1b-it",
    "keras/gemma3/keras/gemma3_instruct_1b/3",
  ),
  gemma3_4b_text: published(
    gemma3With4B,
    "google/gemma-3-4b-pt",
    "keras/gemma3/keras/gemma3_4b_text/2",
  ),
  gemma3_instruct_4b_text: published(
    gemma3With4B,
    "google/gemma-3-4b-it",
    "keras/gemma3/keras/gemma3_instruct_4b_text/3",
  ),
  gemma3_12b_text: published(
    gemma3With12B,
    "google/gemma-3-12b-pt",
    "keras/gemma3/keras/gemma3_12b_text/3",
  ),
  gemma3_instruct_12b_text: published(
    gemma3With12B,
    "google/gemma-3-12b-it",
    "keras/gemma3/keras/gemma3_instruct_12b_text/3",
  ),
  gemma3_27b_text: published(
    gemma3With27B,
    "google/gemma-3-27b-pt",
    "keras/gemma3/keras/gemma3_27b_text/4",
  ),
  gemma3_instruct_27b_text: published(
    gemma3With27B,
    "google/gemma-3-27b-it",
    "keras/gemma3/keras/gemma3_instruct_27b_text/3",
  ),
  medgemma_instruct_27b_text: published(
    shapes.gemma3TextWith27B,
    "google/medgemma-27b-text-it",
    "keras/medgemma/keras/medgemma_instruct_27b_text/1",
  ),
  function_gemma_instruct_270m: published(
    gemma3With270M,
    "google/functiongemma-270m-it",
    "keras/function-gemma/keras/function_gemma_instruct_270m/1",
  ),
  facet_nano_en: { config: shapes.facetNano, source: { bundled: "facet_nano_en" } },
};

const seesImages = (text?: string) =>
  `it has a part that sees images, and Facet trains text models only${text ? `. Its text part is the preset ${text}` : ""}`;
const embeds = "it gives embeddings, and Facet trains models that write text";

/** Presets of KerasHub that are no Gemma text model, and why. */
const refused: Readonly<Record<string, string>> = {
  gemma3_4b: seesImages("gemma3_4b_text"),
  gemma3_instruct_4b: seesImages("gemma3_instruct_4b_text"),
  gemma3_12b: seesImages("gemma3_12b_text"),
  gemma3_instruct_12b: seesImages("gemma3_instruct_12b_text"),
  gemma3_27b: seesImages("gemma3_27b_text"),
  gemma3_instruct_27b: seesImages("gemma3_instruct_27b_text"),
  medgemma_4b: seesImages(),
  medgemma_instruct_4b: seesImages(),
  medgemma_instruct_27b: seesImages("medgemma_instruct_27b_text"),
  "medgemma_1.5_instruct_4b": seesImages(),
  translategemma_4b_it: seesImages(),
  translategemma_12b_it: seesImages(),
  translategemma_27b_it: seesImages(),
  embedding_gemma3_300m: embeds,
  harrier_embedding_oss_270m: embeds,
  vault_gemma_1b_en: "VaultGemma lays out its blocks in another way than Gemma 1, 2 and 3",
};

/** The same for whole families, by how their names begin. */
const refusedFamilies: readonly (readonly [prefix: RegExp, why: string])[] = [
  [/^pali_?gemma/, seesImages()],
  [/^gemma3n_/, "Gemma 3n is another architecture than Gemma 1, 2 and 3"],
  [/^gemma4_/, "Gemma 4 is another architecture than Gemma 1, 2 and 3"],
  [/^t5gemma/, "T5Gemma has an encoder, and Facet trains models that only decode"],
];

/** The error for a name that is neither a preset nor anything else that names a model. */
export function unknownModel(name: string): FacetError {
  const why = Object.hasOwn(refused, name)
    ? refused[name]
    : refusedFamilies.find(([prefix]) => prefix.test(name))?.[1];
  if (why !== undefined) return new FacetError(`Facet cannot use the preset ${name}: ${why}.`);
  return unknownName("model", name, Object.keys(presets));
}
