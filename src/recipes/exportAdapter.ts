import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { writeGgufAdapter } from "../adapters/gguf.js";
import { loadAdapter } from "../adapters/loadAdapter.js";
import { writeMlxAdapter } from "../adapters/mlx.js";
import type { Checkpoint } from "../checkpoints/checkpoint.js";
import { type GgufFileType, writeGguf } from "../checkpoints/gguf.js";
import {
  type HuggingFaceType,
  readHuggingFace,
  writeHuggingFace,
} from "../checkpoints/huggingFace.js";
import { mergeAdapter } from "../checkpoints/merge.js";
import { modelCard } from "../checkpoints/modelCard.js";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import { readStrictJson } from "../formats/strictJson.js";
import { type OpenModel, openModel } from "../hub/openModel.js";
import type { Adapter } from "../lora/adapter.js";
import { toPeft } from "../lora/peft.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { openSession, type Session } from "../runtime/session.js";
import { compareLogits, type Proof, promptLogits, proofPrompts } from "./proof.js";
import { runPaths, versions } from "./runFolder.js";
import { writeAdapter } from "./writeAdapter.js";

const types = ["f32", "f16", "bf16", "q8_0", "q4_0"] as const;
type OutType = (typeof types)[number];

/** What an adapter can become. */
export const exportSchema = z.strictObject({
  adapter: z
    .string()
    .describe("adapter to export: PEFT, MLX or run folder, Keras .lora.h5 or GGUF file"),
  model: z.string().optional().describe("base model (default: the one that the adapter names)"),
  to: z
    .enum(["peft", "gguf", "mlx", "merged", "merged-gguf"])
    .describe(
      "PEFT folder, GGUF adapter for llama.cpp, MLX folder; or a whole model with the adapter merged, as a folder or in GGUF",
    ),
  out: z.string().describe("file or folder to write; must not exist yet"),
  outtype: z
    .enum(types)
    .optional()
    .describe("type of the numbers (default: f32 for adapters, the base's own for a merged model)"),
  verify: z
    .boolean()
    .default(true)
    .describe("read the result back and compare its logits with the live model's"),
});

export type ExportOptions = z.output<typeof exportSchema>;

export interface ExportResult {
  readonly out: string;
  readonly type: OutType;
  /** Undefined when nothing was verified. */
  readonly proof: Proof | undefined;
}

interface Job {
  readonly out: string;
  readonly base: OpenModel;
  readonly adapter: Adapter;
  readonly type: OutType;
}

/** How one kind of file is written, and opened again by the way that any user of it would take. */
interface Target {
  readonly types: readonly OutType[];
  readonly defaultType: (base: OpenModel) => OutType;
  write(job: Job): Promise<void>;
  /** `place` is a folder for what has to be converted to be opened. */
  reopen(job: Job, engine: Engine, place: string): Promise<Session>;
}

const reopenAdapter: Target["reopen"] = async ({ out, base }, engine) =>
  openSession(base, engine, await loadAdapter(out, gemmaModules(base.config)));

const targets: Record<ExportOptions["to"], Target> = {
  peft: {
    types: ["f32"],
    defaultType: () => "f32",
    write: ({ out, adapter, base }) => writeAdapter(out, adapter, base),
    reopen: reopenAdapter,
  },
  gguf: {
    types: ["f32", "f16"],
    defaultType: () => "f32",
    async write({ out, adapter, base, type }) {
      requireGgufName(out);
      const { matrices } = toPeft(adapter);
      const options = { family: base.config.family ?? "gemma", name: base.name } as const;
      const type16 = type === "f16" ? "F16" : "F32";
      writeGgufAdapter(out, { matrices, baseModel: base.name }, { ...options, type: type16 });
    },
    reopen: reopenAdapter,
  },
  mlx: {
    types: ["f32"],
    defaultType: () => "f32",
    write: ({ out, adapter, base }) =>
      writeMlxAdapter(
        out,
        { matrices: toPeft(adapter).matrices, baseModel: base.name },
        base.config.numLayers,
      ),
    reopen: reopenAdapter,
  },
  merged: {
    types: ["f32", "f16", "bf16"],
    defaultType: storedType,
    async write(job) {
      const { out, adapter, base, type } = job;
      const merged = mergedCheckpoint(job);
      const modules = [...new Set(adapter.modules.map((module) => module.target))].join(", ");
      const card = modelCard(merged, {
        base: base.name,
        adapter: `rank ${toPeft(adapter).rank} on ${modules}`,
        dtype: type,
        version: versions().facet!,
      });
      await writeHuggingFace(out, merged, { dtype: type.toUpperCase() as HuggingFaceType, card });
    },
    reopen: async ({ out }, engine) => openSession(await openModel(out), engine),
  },
  "merged-gguf": {
    types,
    defaultType: storedType,
    async write(job) {
      requireGgufName(job.out);
      writeGguf(job.out, mergedCheckpoint(job), { type: job.type.toUpperCase() as GgufFileType });
    },
    reopen: async ({ out }, engine, place) => openSession(await openModel(out, place), engine),
  },
};

/** The type that the base model is stored in. */
function storedType({ weights }: OpenModel): OutType {
  const [embedding] = weights.values();
  return embedding!.dtype.toLowerCase() as OutType;
}

function mergedCheckpoint({ out, base, adapter }: Job): Checkpoint {
  const merged = mergeAdapter(readHuggingFace(base.folder), toPeft(adapter).matrices);
  return { ...merged, name: basename(out, ".gguf") };
}

function requireGgufName(out: string): void {
  if (out.endsWith(".gguf")) return;
  throw new FacetError(`--out ${out}: the name of a GGUF file ends in .gguf.`);
}

/**
 * Relative errors of logits that rounding may cause: two to three times those of a random model, which passes errors on
 * undamped; a trained one shows a sixth of them. A model with one wrong tensor is near or above 1.
 */
const tolerances: Record<OutType, number> = {
  f32: 1e-5,
  f16: 2e-3,
  bf16: 1.5e-2,
  q8_0: 0.1,
  q4_0: 0.8,
};

/**
 * Writes an adapter, or the model with it merged, in another form, and reads it back: logits of fixed
 * prompts must agree with the live model's. Throws a FacetError before anything is written when the
 * adapter does not fit or the result exists already.
 */
export async function exportAdapter(options: ExportOptions, engine: Engine): Promise<ExportResult> {
  const out = resolve(options.out);
  if (existsSync(out)) {
    throw new FacetError(`${out} exists already. Choose another --out, or remove it first.`);
  }
  const base = await openModel(options.model ?? baseModelOf(options.adapter));
  const target = targets[options.to];
  const type = options.outtype ?? target.defaultType(base);
  if (!target.types.includes(type)) {
    throw new FacetError(
      `--to ${options.to} cannot be written as ${type}; it takes ${target.types.join(", ")}.`,
    );
  }
  const adapter = await loadAdapter(options.adapter, gemmaModules(base.config));
  const job: Job = { out, base, adapter, type };
  mkdirSync(dirname(out), { recursive: true });
  await target.write(job);
  const proof = options.verify ? await prove(job, target, engine) : undefined;
  return { out, type, proof };
}

async function prove(job: Job, target: Target, engine: Engine): Promise<Proof> {
  const live = openSession(job.base, engine, job.adapter);
  const prompts = proofPrompts(live);
  const expected = await withSession(live, (session) => promptLogits(session, prompts));
  const place = mkdtempSync(join(dirname(job.out), ".facet-proof-"));
  try {
    const written = await target.reopen(job, engine, place);
    const found = await withSession(written, (session) => promptLogits(session, prompts));
    return compareLogits(expected, found, tolerances[job.type]);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function withSession<T>(session: Session, use: (session: Session) => Promise<T>): Promise<T> {
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** The model that a run, one of its checkpoints or a PEFT folder says it was trained on. */
function baseModelOf(adapter: string): string {
  const parent = dirname(resolve(adapter));
  const run = [adapter, parent, dirname(parent)]
    .map((folder) => runPaths(folder).run)
    .find((path) => existsSync(path));
  if (run !== undefined) {
    const { config } = readStrictJson(run) as { config?: { model?: unknown } };
    if (typeof config?.model === "string") return config.model;
  }
  const peft = join(adapter, "adapter_config.json");
  if (existsSync(peft)) {
    const { base_model_name_or_path: base } = readStrictJson(peft) as Record<string, unknown>;
    if (typeof base === "string" && base !== "") return base;
  }
  throw new FacetError(`${adapter} does not say which model it belongs to. Give --model.`);
}
