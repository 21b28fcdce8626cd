/** Facet's public API. The Keras-like names mirror keras_hub and keras.optimizers in camelCase. */

export type { AdapterFile } from "./adapters/adapterFile.js";
export { loadAdapter } from "./adapters/loadAdapter.js";
export { writePeft } from "./adapters/peft.js";
export { readAdapter } from "./adapters/read.js";
export type { Engine, Executable, HostTensor } from "./engines/engine.js";
export { type OnnxEngineOptions, onnxEngine } from "./engines/onnx/engine.js";
export { FacetError } from "./errors.js";
export {
  greedy,
  randomSampler,
  repetitionPenalty,
  type Sampler,
  topK,
  topP,
} from "./generation/samplers.js";
export type { DownloadHooks, DownloadProgress } from "./hub/download.js";
export { type LocatedModel, locateModel } from "./hub/locate.js";
export { locateData } from "./hub/locateData.js";
export { describeModel, type OpenModel, openModel } from "./hub/openModel.js";
export { presets } from "./hub/presets.js";
export type { WeightType } from "./hub/weightTypes.js";
export { type EnableLoraOptions, GemmaBackbone } from "./keras/backbone.js";
export type { Callback, Logs } from "./keras/callbacks.js";
export {
  type CompileOptions,
  type FromPresetOptions,
  GemmaCausalLM,
  type GenerateOptions,
} from "./keras/causalLM.js";
export type { FitOptions, History } from "./keras/fit.js";
export { SparseCategoricalAccuracy, SparseCategoricalCrossentropy } from "./keras/losses.js";
export {
  Adafactor,
  Adam,
  AdamW,
  type KerasOptimizer,
  Lion,
  Muon,
  SGD,
} from "./keras/optimizers.js";
export { GemmaCausalLMPreprocessor } from "./keras/preprocessor.js";
export type { ScoreOptions, Scores } from "./keras/score.js";
export { type Adapter, createAdapter } from "./lora/adapter.js";
export { linearCombination, type Term, weightedSum } from "./lora/arithmetic.js";
export { shareShape } from "./lora/shareShape.js";
export { reducedRank } from "./lora/singularValues.js";
export { gemmaModules } from "./models/gemma/weights.js";
export { classify, type Prediction } from "./recipes/classify.js";
export {
  type FinetuneHooks,
  finetune,
  resumeFinetune,
} from "./recipes/finetune.js";
export type { FinetuneConfig, FinetuneInput } from "./recipes/finetuneConfig.js";
export type { FinetuneEvent, FinetuneResult } from "./recipes/finetuneEvents.js";
export { type MlflowOptions, mlflow } from "./recipes/mlflow.js";
export {
  type PretrainEvent,
  type PretrainHooks,
  type PretrainResult,
  pretrain,
  resumePretrain,
} from "./recipes/pretrain.js";
export type { PretrainInput } from "./recipes/pretrainConfig.js";
export type { RunCallback, RunStart } from "./recipes/runCallback.js";
export type { StepMetrics } from "./recipes/runLog.js";
export { openSession, type Session } from "./runtime/session.js";
export {
  type GeneratedText,
  generateTexts,
  streamText,
  type TextOptions,
} from "./runtime/text.js";
export { type Evaluation, evaluate } from "./training/evaluate.js";
