import { copyFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tokenizeCorpus } from "../data/corpus.js";
import type { Engine } from "../engines/engine.js";
import { allocateParameters, type Parameters, views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import { readFloat32 } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import { readJsonObject } from "../formats/strictJson.js";
import type { DownloadHooks } from "../hub/download.js";
import { fromAnywhere, openModel } from "../hub/openModel.js";
import { vocabularyPlace } from "../hub/places.js";
import {
  type GemmaConfig,
  readGemmaConfigFile,
  toHuggingFaceConfig,
} from "../models/gemma/config.js";
import { initialWeights } from "../models/gemma/initialize.js";
import { trainableWeights } from "../models/gemma/model.js";
import { evaluationProgram, type GemmaGraph, trainingProgram } from "../models/gemma/programs.js";
import { gemmaWeightSpecs } from "../models/gemma/weights.js";
import { lossCurve } from "../report/lossCurve.js";
import { loadSentencePiece } from "../tokenizers/sentencePiece.js";
import { latestCheckpoint, loadCheckpoint, saveCheckpoint } from "../training/checkpoints.js";
import { type Evaluation, evaluate } from "../training/evaluate.js";
import { type StepReport, startState, train } from "../training/loop.js";
import { adamW } from "../training/optimizers/adamW.js";
import { schedule } from "../training/schedules.js";
import { validated } from "../validation.js";
import { heldOutBatches, windowSource } from "./corpusBatches.js";
import { type PretrainConfig, type PretrainInput, pretrainSchema } from "./pretrainConfig.js";
import {
  appendJsonLine,
  createRunFolder,
  discardIfUnstarted,
  fileDigests,
  forgetLaterSteps,
  readJsonLines,
  reopenRunFolder,
  runPaths,
  versions,
  writeJson,
} from "./runFolder.js";

export type PretrainEvent =
  | { readonly kind: "tokenizing"; readonly bytes: number; readonly totalBytes: number }
  | {
      readonly kind: "corpus";
      readonly tokens: number;
      readonly heldOutTokens: number;
      readonly parameters: number;
    }
  | { readonly kind: "step"; readonly report: StepReport; readonly totalSteps: number }
  | { readonly kind: "evaluation"; readonly step: number; readonly result: Evaluation };

export interface PretrainResult {
  readonly run: string;
  /** The model folder, as Hugging Face lays it out. */
  readonly model: string;
  readonly status: "finished" | "interrupted";
  readonly steps: number;
  readonly parameters: number;
  readonly heldOut: Evaluation;
}

export interface PretrainHooks {
  readonly onEvent?: (event: PretrainEvent) => void;
  /** Aborting it ends the run after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** For a model that is not on this machine. */
  readonly download?: DownloadHooks;
}

/** Trains all weights on plain text, from random ones or from a model. Throws a FacetError for bad input. */
export async function pretrain(
  input: PretrainInput,
  engine: Engine,
  hooks: PretrainHooks = {},
): Promise<PretrainResult> {
  const config = withAbsolutePaths(validated(pretrainSchema, input, "pretrain"));
  const shape = readGemmaConfigFile(config.config);
  const folder = createRunFolder(config.run);
  return discardIfUnstarted(folder, async () => {
    writeJson(runPaths(folder).run, {
      command: "pretrain",
      created: new Date().toISOString(),
      config,
      versions: versions(),
      digests: await inputDigests(config),
    });
    return execute(folder, config, shape, engine, hooks);
  });
}

/** Continues an interrupted run from its last checkpoint. */
export async function resumePretrain(
  run: string,
  engine: Engine,
  hooks: PretrainHooks = {},
): Promise<PretrainResult> {
  const folder = reopenRunFolder(run);
  const saved = readJsonObject(runPaths(folder).run) as { config: unknown; digests: unknown };
  const config = validated(pretrainSchema, saved.config, "pretrain");
  if (JSON.stringify(await inputDigests(config)) !== JSON.stringify(saved.digests)) {
    throw new FacetError(
      `The text, the tokenizer or the config.json of ${folder} has changed since the run started, so it cannot be continued exactly. Start a new run.`,
    );
  }
  return execute(folder, config, readGemmaConfigFile(config.config), engine, hooks);
}

const inputDigests = ({ config, tokenizer, text }: PretrainConfig) =>
  fileDigests([config, tokenizer, ...text]);

/** A run can be resumed from another folder than it was started in. */
const withAbsolutePaths = (config: PretrainConfig): PretrainConfig => ({
  ...config,
  config: resolve(config.config),
  tokenizer: resolve(config.tokenizer),
  text: config.text.map((path) => resolve(path)),
  ...(config.from !== undefined && { from: fromAnywhere(config.from) }),
});

/** How many held-out batches an evaluation during training looks at. */
const evaluationBatchCount = 20;

async function execute(
  folder: string,
  config: PretrainConfig,
  shape: GemmaConfig,
  engine: Engine,
  { onEvent = () => {}, signal, download }: PretrainHooks,
): Promise<PretrainResult> {
  const tokenizer = loadSentencePiece(config.tokenizer, vocabularyPlace());
  if (tokenizer.vocabularySize > shape.vocabularySize) {
    throw new FacetError(
      `${config.tokenizer} has ${tokenizer.vocabularySize} pieces, ${config.config} a vocabulary of ${shape.vocabularySize}.`,
    );
  }
  const corpus = await tokenizeCorpus({
    files: config.text,
    tokenizer,
    cacheFile: join(folder, "corpus.bin"),
    heldOut: config.heldOut,
    onProgress: (bytes, totalBytes) => onEvent({ kind: "tokenizing", bytes, totalBytes }),
  });
  const source = windowSource(corpus, config);
  const parameters = allocateParameters(gemmaWeightSpecs(shape));
  const values = views(parameters.slots, parameters.values);
  for (const [name, data] of await startingWeights(config, shape, download))
    values[name]!.data.set(data);
  onEvent({
    kind: "corpus",
    tokens: corpus.train.tokens.length,
    heldOutTokens: corpus.heldOut.tokens.length,
    parameters: parameters.values.length,
  });

  const trainable = trainableWeights(shape);
  const graph: GemmaGraph = {
    config: shape,
    tensor: (name) => trainable.get(name)!,
    adapt: () => undefined,
    trainable,
  };
  const maxLength = config.sequenceLength;
  const program = await engine.compile(trainingProgram(graph, { maxLength, recompute: false }));
  const evaluation = await engine.compile(evaluationProgram(graph, { maxLength }));
  const held = heldOutBatches(corpus, config);
  const optimizer = adamW(parameters.slots, {
    ...config,
    epsilon: 1e-8,
    epsilonPlacement: "torch",
    decays: (name) => !name.includes("norm"),
  });

  const paths = runPaths(folder);
  const latest = latestCheckpoint(paths.checkpoints);
  const start = latest ? loadCheckpoint(latest, parameters, optimizer) : startState;
  forgetLaterSteps(paths.metrics, start.step);
  const end = await train({
    program,
    parameters,
    optimizer,
    schedule: schedule(config.schedule, { ...config, totalSteps: config.steps }),
    source,
    totalSteps: config.steps,
    objective: { kind: "mean" },
    clipNorm: config.clipNorm,
    start,
    onStep: async (report, state) => {
      const { step, loss, gradientNorm, learningRate, targetTokens, seconds } = report;
      const line = { step, loss, gradient_norm: gradientNorm, learning_rate: learningRate };
      appendJsonLine(paths.metrics, { ...line, tokens_per_second: targetTokens / seconds });
      onEvent({ kind: "step", report, totalSteps: config.steps });
      if (step % config.evaluateEvery === 0) {
        const result = await evaluate(evaluation, values, held.slice(0, evaluationBatchCount));
        appendJsonLine(paths.metrics, { step, held_out_loss: result.loss });
        onEvent({ kind: "evaluation", step, result });
      }
      if (step % config.saveEvery === 0 || step === config.steps || signal?.aborted) {
        await saveCheckpoint(paths.checkpoints, parameters, optimizer, state, 2);
      }
    },
    shouldStop: () => signal?.aborted ?? false,
  });
  const heldOut = await evaluate(evaluation, values, held);
  const model = join(folder, "model");
  await writeModel(model, config, shape, parameters);
  writeFileAtomic(join(folder, "loss-curve.svg"), curveOf(paths.metrics));
  await program.close();
  await evaluation.close();
  return {
    run: folder,
    model,
    status: end.step === config.steps ? "finished" : "interrupted",
    steps: end.step,
    parameters: parameters.values.length,
    heldOut,
  };
}

async function startingWeights(
  config: PretrainConfig,
  shape: GemmaConfig,
  download: DownloadHooks | undefined,
): Promise<Map<string, Float32Array>> {
  if (config.from === undefined) return initialWeights(shape, config.seed);
  const model = await openModel(config.from, download);
  if (JSON.stringify(model.config) !== JSON.stringify(shape)) {
    throw new FacetError(`${config.from} has another shape than ${config.config}.`);
  }
  return new Map([...model.weights].map(([name, tensor]) => [name, readFloat32(tensor)]));
}

/** The run's losses, on training batches and on held-out text, as an SVG. */
function curveOf(metrics: string): string {
  const lines = readJsonLines(metrics) as { step: number; loss?: number; held_out_loss?: number }[];
  const series = (key: "loss" | "held_out_loss") =>
    lines.flatMap((line) =>
      line[key] === undefined ? [] : [{ step: line.step, loss: line[key] }],
    );
  return lossCurve(series("loss"), {
    validation: series("held_out_loss"),
    width: 800,
    height: 360,
  });
}

/** Writes the model as Hugging Face lays it out, in one safetensors file. */
async function writeModel(
  folder: string,
  config: PretrainConfig,
  shape: GemmaConfig,
  parameters: Parameters,
): Promise<void> {
  const values = views(parameters.slots, parameters.values);
  const dtype = config.dtype === "bfloat16" ? "BF16" : "F32";
  await writeFolderAtomic(folder, (temporary) => {
    const tensors = Object.entries(values).map(
      ([name, { data, shape }]) => ({ name, dtype, shape, data }) as const,
    );
    writeSafetensors(join(temporary, "model.safetensors"), tensors);
    writeJson(join(temporary, "config.json"), toHuggingFaceConfig(shape, config.dtype));
    writeJson(join(temporary, "generation_config.json"), {
      bos_token_id: 2,
      eos_token_id: 1,
      pad_token_id: 0,
    });
    copyFileSync(config.tokenizer, join(temporary, "tokenizer.model"));
  });
}
