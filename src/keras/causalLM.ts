import { readHuggingFace } from "../checkpoints/huggingFace.js";
import { writeKerasPreset } from "../checkpoints/kerasWriting.js";
import { mergeAdapter } from "../checkpoints/merge.js";
import type { Engine } from "../engines/engine.js";
import { onnxEngine } from "../engines/onnx/engine.js";
import { FacetError } from "../errors.js";
import type { Sampler } from "../generation/samplers.js";
import type { DownloadHooks } from "../hub/download.js";
import { type OpenModel, openModel, storedType } from "../hub/openModel.js";
import type { WeightType } from "../hub/weightTypes.js";
import { toPeft } from "../lora/peft.js";
import { quantisedBase } from "../recipes/quantisedBase.js";
import { renderSummary, summarize } from "../recipes/summary.js";
import { openSession, type Session } from "../runtime/session.js";
import { generateIds, generateTexts, streamText } from "../runtime/text.js";
import type { Optimizer } from "../training/optimizers/optimizer.js";
import { GemmaBackbone } from "./backbone.js";
import { type FitOptions, fitAdapter, type History } from "./fit.js";
import { SparseCategoricalAccuracy, SparseCategoricalCrossentropy } from "./losses.js";
import { AdamW, type KerasOptimizer } from "./optimizers.js";
import { GemmaCausalLMPreprocessor } from "./preprocessor.js";
import { samplerOf } from "./samplers.js";
import { type ScoreOptions, type Scores, score } from "./score.js";
import { checkIds } from "./tokenIds.js";

export interface CompileOptions {
  readonly optimizer?: KerasOptimizer;
  readonly loss?: SparseCategoricalCrossentropy;
  readonly weightedMetrics?: readonly SparseCategoricalAccuracy[];
  /** "greedy" (the default), "top_k", "top_p", "random", or one made with options. */
  readonly sampler?: string | Sampler;
}

export interface GenerateOptions {
  /** Longest result in tokens, prompt included; default: the preprocessor's sequence length. */
  readonly maxLength?: number;
  /** Leave the prompt out of the result. */
  readonly stripPrompt?: boolean;
  /** Default: the end token and, where the vocabulary has it, `<end_of_turn>`. */
  readonly stopTokenIds?: readonly number[];
  readonly seed?: number;
}

export interface FromPresetOptions extends DownloadHooks {
  readonly engine?: Engine;
  /** The type to compute with: "f32", "bf16", "int8" or "int4"; default "auto", that of the model's files. */
  readonly weights?: WeightType;
}

/** A Gemma language model with Keras's interface (keras_hub.models.GemmaCausalLM). */
export class GemmaCausalLM {
  readonly backbone: GemmaBackbone;
  /** A callback sets it to end `fit` after the current step. */
  stopTraining = false;
  readonly #preprocessor: GemmaCausalLMPreprocessor | undefined;
  #compiled = defaults({});
  #session: Session | undefined;
  #optimizer: Optimizer | undefined;

  private constructor(
    private readonly model: OpenModel,
    private readonly engine: Engine,
  ) {
    this.backbone = new GemmaBackbone(model);
    const { tokenizer, config } = model;
    this.#preprocessor =
      tokenizer && new GemmaCausalLMPreprocessor(tokenizer, 1024, config.maxPositions);
  }

  /** Opens a preset or any other model that `openModel` knows, and downloads it if it is not on this machine. Throws a FacetError that says what is missing and how to get it. */
  static async fromPreset(
    preset: string,
    { engine = onnxEngine(), ...options }: FromPresetOptions = {},
  ): Promise<GemmaCausalLM> {
    return new GemmaCausalLM(await openModel(preset, options), engine);
  }

  get name(): string {
    return this.model.name;
  }

  /** Throws a FacetError for a model without a tokenizer. */
  get preprocessor(): GemmaCausalLMPreprocessor {
    if (this.#preprocessor === undefined) {
      throw new FacetError(
        `${this.model.folder} has no tokenizer.model, so text cannot go in or out; token ids can.`,
      );
    }
    return this.#preprocessor;
  }

  countParams(): number {
    return this.backbone.countParams();
  }

  /** Prints the layers, their parameters, and the totals. */
  summary({ lineLength = 80 }: { lineLength?: number } = {}): void {
    const { config } = this.backbone;
    console.log(renderSummary(summarize(this.name, config, this.backbone.adapter), lineLength));
  }

  /** Sets how the model is trained and how it samples; what is left out takes Keras's default. */
  compile(options: CompileOptions): void {
    this.#compiled = defaults(options);
    this.#optimizer = undefined;
  }

  /** Continues a prompt, or many in one batch; or rows of token ids. */
  generate(prompt: string, options?: GenerateOptions): Promise<string>;
  generate(prompts: readonly string[], options?: GenerateOptions): Promise<string[]>;
  generate(tokenIds: readonly number[][], options?: GenerateOptions): Promise<number[][]>;
  async generate(
    inputs: string | readonly string[] | readonly number[][],
    options: GenerateOptions = {},
  ): Promise<string | string[] | number[][]> {
    if (typeof inputs === "string") return (await this.#generateTexts([inputs], options))[0]!;
    if (inputs.length === 0) return [];
    return typeof inputs[0] === "string"
      ? this.#generateTexts(inputs as readonly string[], options)
      : this.#generateIds(inputs as readonly number[][], options);
  }

  /** Continues a prompt and yields the new text piece by piece. */
  async *stream(prompt: string, options: GenerateOptions = {}): AsyncGenerator<string> {
    const { tokenizer, sequenceLength } = this.preprocessor;
    const ids = [tokenizer.bosId, ...tokenizer.encode(prompt)];
    const { sampler } = this.#compiled;
    const maxLength = options.maxLength ?? sequenceLength;
    const stops = options.stopTokenIds;
    yield* streamText(this.#open(), ids, { ...options, maxLength, sampler, stopIds: stops });
  }

  /**
   * Trains the LoRA variables on texts, as Keras's `fit` does: its loss is divided by rows ×
   * sequence length, padding included (but padding is never computed).
   */
  async fit(texts: readonly string[], options: FitOptions = {}): Promise<History> {
    const adapter = this.backbone.adapter;
    if (adapter === undefined) {
      throw new FacetError("fit trains LoRA variables: call backbone.enableLora({ rank }) first.");
    }
    const { optimizer, metrics } = this.#compiled;
    this.#optimizer ??= optimizer.build(adapter.parameters);
    this.stopTraining = false;
    return fitAdapter(texts, options, {
      session: this.#open(),
      adapter,
      preprocessor: this.preprocessor,
      optimizer: this.#optimizer,
      learningRate: optimizer.learningRate,
      metrics,
      shouldStop: () => this.stopTraining,
    });
  }

  /** Logits or losses of every position of token ids. */
  score(tokenIds: readonly (readonly number[])[], options: ScoreOptions = {}): Promise<Scores> {
    return score(this.#open(), tokenIds, options);
  }

  /**
   * Writes a preset's folder that Keras and Facet open, in the type that the model is stored in. As in Keras, an enabled
   * adapter is merged into the weights. On the console it says when these were quantised. Throws a FacetError for a model
   * without a tokenizer.
   */
  async saveToPreset(folder: string): Promise<void> {
    const { adapter } = this.backbone;
    const checkpoint = readHuggingFace(this.model.folder);
    const merged = adapter ? mergeAdapter(checkpoint, toPeft(adapter).matrices) : checkpoint;
    await writeKerasPreset(folder, merged, { dtype: storedType(this.model) });
    for (const warning of quantisedBase(this.model, adapter ? "merge" : "convert")) {
      console.warn(warning);
    }
  }

  /** Frees the compiled programs. */
  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }

  #open(): Session {
    const adapter = this.backbone.adapter;
    if (this.#session === undefined || this.#session.adapter !== adapter) {
      void this.#session?.close();
      this.#session = openSession(this.model, this.engine, adapter);
    }
    return this.#session;
  }

  async #generateTexts(prompts: readonly string[], options: GenerateOptions): Promise<string[]> {
    const { sequenceLength } = this.preprocessor;
    const maxLength = options.maxLength ?? sequenceLength;
    const { sampler } = this.#compiled;
    const settings = { ...options, maxLength, sampler, stopIds: options.stopTokenIds };
    const results = await generateTexts(this.#open(), prompts, settings);
    return results.map(({ prompt, completion }) =>
      options.stripPrompt ? completion : prompt + completion,
    );
  }

  async #generateIds(rows: readonly number[][], options: GenerateOptions): Promise<number[][]> {
    const { config } = this.model;
    checkIds(rows, config.vocabularySize, "generate");
    const maxLength = options.maxLength ?? Math.min(1024, config.maxPositions);
    const stops = options.stopTokenIds ?? this.model.stopIds;
    const results = rows.map((row) => (options.stripPrompt ? [] : [...row]));
    const { sampler } = this.#compiled;
    const settings = { ...options, maxLength, sampler, stopIds: stops };
    for await (const ids of generateIds(this.#open(), rows, settings)) {
      ids.forEach((id, row) => {
        if (id !== undefined) results[row]!.push(id);
      });
    }
    return results;
  }
}

/** Keras's defaults: Adam at 2e-5, the cross-entropy, the accuracy, greedy search. */
function defaults(options: CompileOptions) {
  return {
    optimizer: options.optimizer ?? new AdamW({ learningRate: 2e-5, weightDecay: 0 }),
    loss: options.loss ?? new SparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: options.weightedMetrics ?? [new SparseCategoricalAccuracy()],
    sampler: samplerOf(options.sampler ?? "greedy"),
  };
}
