import { writeKerasAdapter } from "../adapters/keras.js";
import { loadAdapter } from "../adapters/loadAdapter.js";
import { FacetError, unknownName } from "../errors.js";
import { readPeftAdapter } from "../formats/peft.js";
import type { OpenModel } from "../hub/openModel.js";
import { type Adapter, createAdapter } from "../lora/adapter.js";
import type { LoraLayout } from "../lora/config.js";
import { fromPeft } from "../lora/peft.js";
import { parameterCount } from "../models/gemma/model.js";
import { gemmaModules, type Target } from "../models/gemma/weights.js";
import { writeAdapter } from "../recipes/writeAdapter.js";

/** Keras's names of the layers that LoRA can be enabled on. */
const layerNames: Readonly<Record<string, Target>> = {
  query: "q_proj",
  key: "k_proj",
  value: "v_proj",
  attention_output: "o_proj",
  ffw_gating: "gate_proj",
  ffw_gating_2: "up_proj",
  ffw_linear: "down_proj",
};

export interface EnableLoraOptions {
  readonly rank: number;
  /** Layers by Keras's names; default: query and value. */
  readonly targetLayerNames?: readonly string[];
  /**
   * "keras", the default, has Keras's variables: one A per head and a B that the heads share.
   * "standard" has one A and one B per layer, as in the LoRA paper and in PEFT.
   */
  readonly layout?: LoraLayout;
  /** Layers by their names in PEFT, for example `["q_proj", "down_proj"]`, instead of `targetLayerNames`. */
  readonly targets?: readonly string[];
  /** The update is scaled by alpha / rank; default: the rank. */
  readonly alpha?: number;
  /** Probability with which `fit` drops an element of an adapter's input; default 0. */
  readonly dropout?: number;
  readonly seed?: number;
}

/** The model below its head, with the adapter that `enableLora` gives it. */
export class GemmaBackbone {
  #adapter: Adapter | undefined;

  constructor(private readonly model: OpenModel) {}

  get config() {
    return this.model.config;
  }

  /** Undefined before `enableLora`. */
  get adapter(): Adapter | undefined {
    return this.#adapter;
  }

  /** Parameters, the adapter's included. */
  countParams(): number {
    return parameterCount(this.config) + (this.#adapter?.parameters.values.length ?? 0);
  }

  /** Freezes the weights and adds LoRA variables to the target layers. */
  enableLora(options: EnableLoraOptions): void {
    const { rank, layout = "keras", alpha = rank, dropout = 0, seed = 0 } = options;
    if (this.#adapter !== undefined) throw new FacetError("LoRA is enabled already.");
    if (layout !== "keras" && layout !== "standard") {
      throw unknownName("LoRA layout", layout, ["keras", "standard"]);
    }
    const config = { rank, alpha, targets: targetsOf(options), layout, dropout };
    this.#adapter = createAdapter(config, gemmaModules(this.config), seed);
  }

  /**
   * Writes the adapter: as Keras's file where the name ends in `.lora.h5`, otherwise as a PEFT folder. Throws a
   * FacetError for an adapter that Keras's variables cannot hold.
   */
  async saveLoraWeights(path: string): Promise<void> {
    const adapter = this.#enabled("saveLoraWeights");
    if (path.endsWith(".h5")) writeKerasAdapter(path, adapter);
    else await writeAdapter(path, adapter, this.model);
  }

  /** Loads a PEFT folder or a Keras `.lora.h5` file into the enabled adapter; their ranks must agree. */
  async loadLoraWeights(path: string): Promise<void> {
    const { config, parameters, modules } = this.#enabled("loadLoraWeights");
    const all = gemmaModules(this.config);
    const loaded = path.endsWith(".h5")
      ? await loadAdapter(path, all)
      : fromPeft(readPeftAdapter(path).matrices, config, all, path);
    const described = (adapter: Pick<Adapter, "config" | "modules">) =>
      `rank ${adapter.config.rank} on ${adapter.modules.length} layers`;
    const [mine, theirs] = [described({ config, modules }), described(loaded)];
    if (mine !== theirs) {
      throw new FacetError(`${path} holds ${theirs}; this backbone has LoRA enabled at ${mine}.`);
    }
    parameters.values.set(loaded.parameters.values);
  }

  #enabled(method: string): Adapter {
    if (this.#adapter === undefined) {
      throw new FacetError(`Call backbone.enableLora({ rank }) before ${method}.`);
    }
    return this.#adapter;
  }
}

function targetsOf({ targets, targetLayerNames }: EnableLoraOptions): readonly string[] {
  if (targets !== undefined && targetLayerNames !== undefined) {
    throw new FacetError("Give enableLora either targets or targetLayerNames, not both.");
  }
  const names = targetLayerNames ?? ["query", "value"];
  return (
    targets ??
    names.map((name) => {
      const target = Object.hasOwn(layerNames, name) ? layerNames[name] : undefined;
      if (target === undefined) throw unknownName("LoRA layer", name, Object.keys(layerNames));
      return target;
    })
  );
}
