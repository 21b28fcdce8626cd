import { mkdirSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import type { Checkpoint } from "../checkpoints/checkpoint.js";
import { type GgufFileType, writeGguf } from "../checkpoints/gguf.js";
import {
  type HuggingFaceType,
  readHuggingFace,
  writeHuggingFace,
} from "../checkpoints/huggingFace.js";
import { type KerasType, writeKerasPreset } from "../checkpoints/kerasWriting.js";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { openModel, storedType } from "../hub/openModel.js";
import { openSession } from "../runtime/session.js";
import {
  type OutType,
  outTypes,
  prove,
  requireFree,
  requireType,
  type WrittenFile,
} from "./proof.js";
import { quantisedBase } from "./quantisedBase.js";

interface ModelFormat {
  readonly types: readonly OutType[];
  readonly suffix?: string;
  write(out: string, checkpoint: Checkpoint, type: string): Promise<void> | void;
}

/** The layouts that a whole model is written in. */
const formats = {
  hf: {
    types: ["f32", "f16", "bf16"],
    write: (out, model, type) => writeHuggingFace(out, model, { dtype: type as HuggingFaceType }),
  },
  keras: {
    types: ["f32", "f16", "bf16"],
    write: (out, model, type) => writeKerasPreset(out, model, { dtype: type as KerasType }),
  },
  gguf: {
    types: outTypes,
    suffix: ".gguf",
    write: (out, model, type) => writeGguf(out, model, { type: type as GgufFileType }),
  },
} satisfies Record<string, ModelFormat>;

export const convertSchema = z.strictObject({
  model: z
    .string()
    .describe("model to convert: preset, Hugging Face folder, Keras preset, GGUF file"),
  to: z
    .enum(Object.keys(formats) as (keyof typeof formats)[])
    .describe("Hugging Face folder, Keras preset, or GGUF file"),
  out: z.string().describe("file or folder to write; must not exist yet"),
  outtype: z
    .enum(outTypes)
    .optional()
    .describe("type of the numbers (default: that of the model; f32 for a quantised one)"),
  verify: z
    .boolean()
    .default(true)
    .describe("read the result back and compare its logits with the model's"),
});

export type ConvertOptions = z.output<typeof convertSchema>;

/**
 * Writes a model in another layout, a few rows of a tensor in memory at a time, and reads it back: logits of fixed
 * prompts must agree. Throws a FacetError before anything is written when the result exists already or the layout
 * cannot hold the model.
 */
export async function convertModel(
  options: ConvertOptions,
  engine: Engine,
  download: DownloadHooks = {},
): Promise<WrittenFile> {
  const out = requireFree(resolve(options.out));
  const { types, suffix, write }: ModelFormat = formats[options.to];
  if (suffix !== undefined && !out.endsWith(suffix)) {
    throw new FacetError(`--out ${out}: the name of a GGUF file ends in ${suffix}.`);
  }
  const model = await openModel(options.model, download);
  const type = options.outtype ?? (storedType(model).toLowerCase() as OutType);
  requireType(options.to, type, types);
  mkdirSync(dirname(out), { recursive: true });
  const checkpoint = { ...readHuggingFace(model.folder), name: basename(out, ".gguf") };
  await write(out, checkpoint, type.toUpperCase());
  const warnings = quantisedBase(model, "convert");
  if (!options.verify) return { out, type, proof: undefined, warnings };
  const proof = await prove({
    live: openSession(model, engine),
    written: async (place) => openSession(await openModel(out, { cache: place }), engine),
    out,
    type,
  });
  return { out, type, proof, warnings };
}
