import type { Engine, Executable, HostTensor } from "../engines/engine.js";
import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { headName } from "../formats/peftLabels.js";
import type { Decoder } from "../generation/generate.js";
import { input, type Program, type Tensor } from "../graph/index.js";
import type { OpenModel } from "../hub/openModel.js";
import { type Adapter, type AdapterGraph, adapterGraph, startInputs } from "../lora/adapter.js";
import { scaleOf } from "../lora/config.js";
import { computeGains, unitGains } from "../lora/dora.js";
import { isMagnitude } from "../lora/variables.js";
import { classLogitsProgram } from "../models/gemma/classificationPrograms.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import { frozenWeights } from "../models/gemma/model.js";
import {
  classificationPrograms,
  nextTokenPrograms,
  type ObjectivePrograms,
} from "../models/gemma/objectivePrograms.js";
import { type GemmaGraph, generationProgram, logitsProgram } from "../models/gemma/programs.js";
import { gemmaWeightSpecs } from "../models/gemma/weights.js";
import { dropoutSeedName, noiseSeedName, noiseSizeName } from "./trainingInputs.js";

/** A model, an engine and perhaps an adapter: programs are compiled when first needed, and kept. */
export interface Session {
  readonly model: OpenModel;
  /** The adapter in use. */
  readonly adapter: Adapter | undefined;
  /** What the adapter in use adds to the inputs of every program but the training one. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /**
   * Puts another of the session's adapters on the model; compiled programs stay. A decoder that was
   * handed out before keeps its adapter.
   */
  use(adapter: Adapter): Promise<void>;
  /**
   * Forward and backward. `recompute` trades time for the memory of activations; with `noise` the embedded tokens get
   * NEFTune's. What is learned are next tokens, unless the programs of another objective are given.
   */
  training(
    maxLength: number,
    options: { recompute: boolean; noise?: boolean; programs?: ObjectivePrograms },
  ): Promise<Executable>;
  evaluation(maxLength: number, programs?: ObjectivePrograms): Promise<Executable>;
  logits(maxLength: number): Promise<Executable>;
  /** The logits of a classifier's classes; see `classLogitsProgram`. */
  classifier(maxLength: number): Promise<Executable>;
  decoder(maxLength: number): Promise<Decoder>;
  /** Closes every program; one that is needed again is compiled again. */
  close(): Promise<void>;
}

/**
 * Opens a session with an adapter in use, or none. `others` are adapters that it can be switched to: all must have the
 * shape of `adapter`, which `shareShape` gives them.
 */
export function openSession(
  model: OpenModel,
  engine: Engine,
  adapter?: Adapter,
  others: readonly Adapter[] = [],
): Session {
  const compiled = new Map<string, Promise<Executable>>();
  const { config } = model;
  const frozen = frozenWeights(model.frozen);
  const adapters = adapter === undefined ? others : [adapter, ...others];
  requireOneShape(adapters);
  for (const one of adapters) requireOwnTensors(one, config);
  const gained = new Set(adapters.flatMap(({ magnitudes }) => [...(magnitudes?.keys() ?? [])]));
  const graphOf = ({ replaced, ...parts }: AdapterGraph): GemmaGraph => ({
    config,
    tensor: (name) => replaced(name) ?? frozen(name),
    ...parts,
  });
  const graph = graphOf(adapterGraph(adapter, { gained }));
  const dropoutSeed = input(dropoutSeedName, [], "int32");
  const weight = (path: string) => frozen(`${path}.weight`);
  const trainingGraph = graphOf(adapterGraph(adapter, { dropoutSeed, weight }));
  const loaded = new Map(adapters.map((one) => [one, putOn(one, gained, weight, engine)]));
  const noise = { seed: input(noiseSeedName, [], "int32"), size: input(noiseSizeName, []) };
  const none: Loaded = { adapter: undefined, parameters: {}, ready: async () => {} };
  let current = adapter === undefined ? none : loaded.get(adapter)!;

  const compile = (
    kind: string,
    maxLength: number,
    build: (length: number) => Program,
    { runsOften = false } = {},
  ) => {
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
    const executable = engine.compile(build(length), { name: kind, runsOften });
    compiled.set(key, executable);
    return executable;
  };

  return {
    model,
    get adapter() {
      return current.adapter;
    },
    get parameters() {
      return current.parameters;
    },
    async use(next) {
      const found = loaded.get(next);
      if (found === undefined) throw new Error("this adapter was not given to openSession");
      await found.ready();
      current = found;
    },
    async training(maxLength, { recompute, noise: noisy = false, programs = nextTokenPrograms }) {
      if (gained.size > 0 && !adapter?.config.dora) {
        throw new FacetError(
          "A DoRA adapter that was loaded can be used and exported, not trained.",
        );
      }
      const how = `${recompute ? " with recomputation" : ""}${noisy ? " with noise" : ""}`;
      const built = noisy ? { ...trainingGraph, noise } : trainingGraph;
      return compile(
        `training${of(programs)}${how}`,
        maxLength,
        (length) => programs.training(built, { maxLength: length, recompute }),
        { runsOften: true },
      );
    },
    async evaluation(maxLength, programs = nextTokenPrograms) {
      if (programs !== classificationPrograms) requireTokens(adapter);
      await current.ready();
      return compile(`evaluation${of(programs)}`, maxLength, (length) =>
        programs.evaluation(graph, { maxLength: length }),
      );
    },
    async classifier(maxLength) {
      await current.ready();
      return compile("classifier", maxLength, (length) =>
        classLogitsProgram(graph, { maxLength: length }),
      );
    },
    async logits(maxLength) {
      requireTokens(adapter);
      await current.ready();
      return compile("logits", maxLength, (length) => logitsProgram(graph, { maxLength: length }));
    },
    async decoder(maxLength) {
      requireTokens(adapter);
      const { parameters, ready } = current;
      await ready();
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

const of = (programs: ObjectivePrograms): string =>
  programs === nextTokenPrograms ? "" : ` of ${programs.name}`;

/** An adapter as the inputs of programs. */
interface Loaded {
  readonly adapter: Adapter | undefined;
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /** Resolves when the inputs that have to be computed have their values. */
  ready(): Promise<void>;
}

function putOn(
  adapter: Adapter,
  gained: ReadonlySet<string>,
  weight: (path: string) => Tensor,
  engine: Engine,
): Loaded {
  const { slots, values } = adapter.parameters;
  // Here magnitudes are in the gains.
  const matrices = slots.filter(({ name }) => !isMagnitude(name));
  const gains = unitGains(adapter.modules.filter(({ path }) => gained.has(path)));
  let ready: Promise<void> | undefined;
  return {
    adapter,
    parameters: { ...views(matrices, values), ...startInputs(adapter), ...gains },
    ready() {
      // What is being trained has other gains every time.
      if (adapter.config.dora) ready = undefined;
      ready ??= computeGains(adapter, weight, engine, gains);
      return ready;
    },
  };
}

function requireOneShape([first, ...others]: readonly Adapter[]): void {
  const shape = ({ config, modules, parameters: { slots } }: Adapter) =>
    JSON.stringify([config.layout, modules.map((module) => scaleOf(config, module)), slots]);
  if (others.some((other) => shape(other) !== shape(first!))) {
    throw new Error("adapters of one session must have one shape: give them to shareShape first");
  }
}

/** Throws a FacetError for an adapter that replaces a tensor which the model does not have, or has in another shape. */
function requireOwnTensors({ whole, parameters, labels }: Adapter, config: GemmaConfig): void {
  if (whole === undefined) return;
  const shapes = new Map(gemmaWeightSpecs(config).map(({ name, shape }) => [name, shape]));
  if (labels !== undefined) shapes.set(headName, [labels.length, config.hiddenSize]);
  for (const { name, shape } of parameters.slots) {
    if (!whole.has(name) || shapes.get(name)?.join() === shape.join()) continue;
    throw new FacetError(
      `The adapter replaces ${name} by [${shape}], and the model has ${shapes.has(name) ? `[${shapes.get(name)}]` : "none"}. It is for another model.`,
    );
  }
}

/** Throws a FacetError for a classifier's adapter, which was trained to give classes and no text. */
function requireTokens(adapter: Adapter | undefined): void {
  if (adapter?.labels === undefined) return;
  throw new FacetError(
    `The adapter is a classifier (${adapter.labels.slice(0, 5).join(", ")}), which gives no text. Use facet classify, or facet evaluate --data with labels.`,
  );
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
