import { basename } from "node:path";
import { writeGgufAdapter } from "../adapters/gguf.js";
import { writeKerasAdapter } from "../adapters/keras.js";
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
import type { Template } from "../data/templates.js";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import { type OpenModel, openModel, storedType } from "../hub/openModel.js";
import type { Adapter } from "../lora/adapter.js";
import { toPeft, wholeOf } from "../lora/peft.js";
import { requireMatricesOnly } from "../lora/whole.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { openSession, type Session } from "../runtime/session.js";
import { ollamaModel, writeOllama } from "./ollama.js";
import { type OutType, outTypes, requireType } from "./proof.js";
import { versions } from "./runFolder.js";
import { writeAdapter } from "./writeAdapter.js";

/** An adapter on its way to a file. */
export interface ExportJob {
  readonly out: string;
  readonly base: OpenModel;
  readonly adapter: Adapter;
  readonly type: OutType;
  /** How prompts were rendered in training; needed by `ollama` only. */
  readonly template: Template | undefined;
  /** Jinja source of the chat template that a merged model carries. */
  readonly chatTemplate: string | undefined;
}

/** How one kind of file is written, and opened again by the way that any user of it would take. */
export interface ExportTarget {
  readonly types: readonly OutType[];
  readonly defaultType: (base: OpenModel) => OutType;
  /** Whether the result holds the base's weights. */
  readonly merges?: true;
  /** What the name of the result must end in. */
  readonly suffix?: string;
  write(job: ExportJob): Promise<void> | void;
  /** `place` is a folder for what has to be converted to be opened. */
  reopen(job: ExportJob, engine: Engine, place: string): Promise<Session>;
}

const single = () => "f32" as const;
const asStored = (base: OpenModel) => storedType(base).toLowerCase() as OutType;

const reopenAdapter: ExportTarget["reopen"] = async ({ out, base }, engine) =>
  openSession(base, engine, await loadAdapter(out, gemmaModules(base.config)));

const reopenModel: ExportTarget["reopen"] = async ({ out }, engine, place) =>
  openSession(await openModel(out, { cache: place }), engine);

/** Everything that an adapter can become. */
export const exportTargets = {
  peft: {
    types: ["f32"],
    defaultType: single,
    write: ({ out, adapter, base }) => writeAdapter(out, adapter, base),
    reopen: reopenAdapter,
  },
  keras: {
    types: ["f32"],
    defaultType: single,
    suffix: ".lora.h5",
    write({ out, adapter }) {
      requireMatricesOnly(adapter, "A Keras file holds");
      writeKerasAdapter(out, adapter);
    },
    reopen: reopenAdapter,
  },
  gguf: {
    types: ["f32", "f16"],
    defaultType: single,
    suffix: ".gguf",
    write({ out, adapter, base, type }) {
      requireMatricesOnly(adapter, "A GGUF adapter holds");
      const { matrices } = toPeft(adapter);
      const options = { family: base.config.family ?? "gemma", name: base.name } as const;
      const type16 = type === "f16" ? "F16" : "F32";
      writeGgufAdapter(out, { matrices, baseModel: base.name }, { ...options, type: type16 });
    },
    reopen: reopenAdapter,
  },
  mlx: {
    types: ["f32"],
    defaultType: single,
    write({ out, adapter, base }) {
      requireMatricesOnly(adapter, "An MLX folder holds");
      const { matrices } = toPeft(adapter);
      return writeMlxAdapter(out, { matrices, baseModel: base.name }, base.config.numLayers);
    },
    reopen: reopenAdapter,
  },
  ollama: {
    merges: true,
    types: outTypes,
    defaultType: asStored,
    write: ({ template, ...job }) =>
      writeOllama(job.out, template!, (path) => writeMergedGguf(path, job)),
    reopen: (job, engine, place) =>
      reopenModel({ ...job, out: ollamaModel(job.out) }, engine, place),
  },
  merged: {
    merges: true,
    types: ["f32", "f16", "bf16"],
    defaultType: asStored,
    async write(job) {
      const merged = mergedCheckpoint(job);
      const modules = [...new Set(job.adapter.modules.map((module) => module.target))].join(", ");
      const card = modelCard(merged, {
        base: job.base.name,
        adapter: `rank ${toPeft(job.adapter).rank} on ${modules}`,
        dtype: job.type,
        version: versions().facet!,
        quantised: job.base.quantised,
      });
      const dtype = job.type.toUpperCase() as HuggingFaceType;
      await writeHuggingFace(job.out, merged, { dtype, card });
    },
    reopen: reopenModel,
  },
  "merged-gguf": {
    merges: true,
    types: outTypes,
    defaultType: asStored,
    suffix: ".gguf",
    write: (job) => writeMergedGguf(job.out, job),
    reopen: reopenModel,
  },
} satisfies Record<string, ExportTarget>;

export type ExportTargetName = keyof typeof exportTargets;
export const exportTargetNames = Object.keys(exportTargets) as ExportTargetName[];

/** Throws a FacetError for a type that the target has not, and for a name that its readers would not take. */
export function requireWritable(to: ExportTargetName, out: string, type: OutType): void {
  const target: ExportTarget = exportTargets[to];
  requireType(to, type, target.types);
  if (target.suffix !== undefined && !out.endsWith(target.suffix)) {
    throw new FacetError(
      `--out ${out}: the name of what --to ${to} writes ends in ${target.suffix}.`,
    );
  }
}

type Mergeable = Omit<ExportJob, "template">;

function writeMergedGguf(path: string, job: Mergeable): void {
  writeGguf(path, mergedCheckpoint(job), { type: job.type.toUpperCase() as GgufFileType });
}

function mergedCheckpoint({ out, base, adapter, chatTemplate }: Mergeable): Checkpoint {
  const { matrices } = toPeft(adapter);
  const merged = mergeAdapter(readHuggingFace(base.folder), matrices, wholeOf(adapter));
  return { ...merged, name: basename(out, ".gguf"), chatTemplate };
}
