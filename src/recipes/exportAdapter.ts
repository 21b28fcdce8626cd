import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { loadAdapter } from "../adapters/loadAdapter.js";
import { namedTemplate } from "../data/templates.js";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { openModel } from "../hub/openModel.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { openSession } from "../runtime/session.js";
import { baseModelOf, templateOf, trainedTemplateOf } from "./adapterOrigin.js";
import {
  type ExportJob,
  type ExportTarget,
  exportTargetNames,
  exportTargets,
  requireWritable,
} from "./exportTargets.js";
import { mergedChat } from "./mergedChat.js";
import { outTypes, prove, requireFree, type WrittenFile } from "./proof.js";
import { quantisedBase } from "./quantisedBase.js";

/** What an adapter can become. */
export const exportSchema = z.strictObject({
  adapter: z
    .string()
    .describe("adapter to export: PEFT, MLX or run folder, Keras .lora.h5 or GGUF file"),
  model: z.string().optional().describe("base model (default: the one that the adapter names)"),
  to: z
    .enum(exportTargetNames)
    .describe(
      "PEFT or MLX folder, Keras .lora.h5 file, GGUF adapter for llama.cpp; or a whole model with the adapter merged: folder, GGUF file, folder for Ollama",
    ),
  out: z.string().describe("file or folder to write; must not exist yet"),
  outtype: z
    .enum(outTypes)
    .optional()
    .describe("type of the numbers (default: f32 for adapters, the base's own for a merged model)"),
  template: z
    .string()
    .optional()
    .describe("how Ollama is to render prompts (default: as the run that made the adapter did)"),
  verify: z
    .boolean()
    .default(true)
    .describe("read the result back and compare its logits with the live model's"),
});

export type ExportOptions = z.output<typeof exportSchema>;

/**
 * Writes an adapter, or the model with it merged, in another form, and reads it back: logits of fixed
 * prompts must agree with the live model's. Throws a FacetError before anything is written when the
 * adapter does not fit or the result exists already.
 */
export async function exportAdapter(
  options: ExportOptions,
  engine: Engine,
  download: DownloadHooks = {},
): Promise<WrittenFile> {
  const { to } = options;
  const out = requireFree(resolve(options.out));
  const base = await openModel(options.model ?? baseModelOf(options.adapter), download);
  const target: ExportTarget = exportTargets[to];
  const type = options.outtype ?? target.defaultType(base);
  requireWritable(to, out, type);
  const template = templateFor(options);
  const adapter = await loadAdapter(options.adapter, gemmaModules(base.config));
  if (adapter.labels !== undefined) {
    throw new FacetError(
      `${options.adapter} is a classifier, and only PEFT's form has its head. The adapter in its run folder is in that form already.`,
    );
  }
  const named = options.template && { name: options.template, spec: undefined, sha256: undefined };
  const { chatTemplate, ...chat } = mergedChat(base, named || trainedTemplateOf(options.adapter));
  const job: ExportJob = { out, base, adapter, type, template, chatTemplate };
  mkdirSync(dirname(out), { recursive: true });
  await target.write(job);
  const warnings = target.merges ? [...quantisedBase(base, "merge"), ...chat.warnings] : [];
  if (!options.verify) return { out, type, proof: undefined, warnings };
  const proof = await prove({
    live: openSession(base, engine, adapter),
    written: (place) => target.reopen(job, engine, place),
    out,
    type,
  });
  return { out, type, proof, warnings };
}

function templateFor({ to, template, adapter }: ExportOptions) {
  if (to === "ollama") return namedTemplate(template ?? templateOf(adapter));
  if (template !== undefined) {
    throw new FacetError(`--template is for --to ollama; --to ${to} holds no template.`);
  }
  return undefined;
}
