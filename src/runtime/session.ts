import type { Engine, Executable, HostTensor } from "../engines/engine.js";
import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import type { Decoder } from "../generation/generate.js";
import { input, type Program } from "../graph/index.js";
import type { OpenModel } from "../hub/openModel.js";
import { type Adapter, adapterGraph } from "../lora/adapter.js";
import { frozenWeights } from "../models/gemma/model.js";
import {
  evaluationProgram,
  type GemmaGraph,
  generationProgram,
  logitsProgram,
  trainingProgram,
} from "../models/gemma/programs.js";

/** A model, an engine and perhaps an adapter: programs are compiled when first needed, and kept. */
export interface Session {
  readonly model: OpenModel;
  readonly adapter: Adapter | undefined;
  /** The adapter's variables, as every program wants them among its inputs. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /** Forward and backward. `recompute` trades time for the memory of activations. */
  training(maxLength: number, options: { recompute: boolean }): Promise<Executable>;
  evaluation(maxLength: number): Promise<Executable>;
  logits(maxLength: number): Promise<Executable>;
  decoder(maxLength: number): Promise<Decoder>;
  /** Closes every program; one that is needed again is compiled again. */
  close(): Promise<void>;
}

/** Input of a training program whose adapter has dropout: an int32 scalar, another one at every step. */
export const dropoutSeedName = "dropoutSeed";

export function openSession(model: OpenModel, engine: Engine, adapter?: Adapter): Session {
  const compiled = new Map<string, Promise<Executable>>();
  const { config } = model;
  const tensor = frozenWeights(model.weights);
  const graph: GemmaGraph = { config, tensor, ...adapterGraph(adapter) };
  const dropoutSeed = input(dropoutSeedName, [], "int32");
  const trainingGraph: GemmaGraph = { config, tensor, ...adapterGraph(adapter, { dropoutSeed }) };
  const parameters = adapter ? views(adapter.parameters.slots, adapter.parameters.values) : {};

  const compile = (kind: string, maxLength: number, build: (length: number) => Program) => {
    if (maxLength > config.maxPositions) {
      throw new FacetError(
        `${model.name} was made for at most ${config.maxPositions} tokens; ${maxLength} were asked for.`,
      );
    }
    // Rounded up, so that a slightly longer sequence finds the same program.
    const length = Math.min(
      config.maxPositions,
      Math.max(512, 2 ** Math.ceil(Math.log2(maxLength))),
    );
    const key = `${kind}:${length}`;
    const known = compiled.get(key);
    if (known !== undefined) return known;
    const executable = engine.compile(build(length));
    compiled.set(key, executable);
    return executable;
  };

  return {
    model,
    adapter,
    parameters,
    training: (maxLength, { recompute }) =>
      compile(`training:${recompute}`, maxLength, (length) =>
        trainingProgram(trainingGraph, { maxLength: length, recompute }),
      ),
    evaluation: (maxLength) =>
      compile("evaluation", maxLength, (length) => evaluationProgram(graph, { maxLength: length })),
    logits: (maxLength) =>
      compile("logits", maxLength, (length) => logitsProgram(graph, { maxLength: length })),
    async decoder(maxLength) {
      const program = await compile("generation", maxLength, (length) =>
        generationProgram(graph, { maxLength: length }),
      );
      const { numLayers, numKeyValueHeads, headDim, vocabularySize } = config;
      return { program, numLayers, numKeyValueHeads, headDim, vocabularySize, parameters };
    },
    async close() {
      for (const executable of compiled.values()) await (await executable).close();
      compiled.clear();
    },
  };
}

/** The model's tokenizer. Throws a FacetError for a model folder without one. */
export function requireTokenizer(model: OpenModel) {
  if (model.tokenizer === undefined) {
    throw new FacetError(
      `${model.folder} has no tokenizer.model, so text cannot go in or out. Put one there; token ids work without it.`,
    );
  }
  return model.tokenizer;
}
