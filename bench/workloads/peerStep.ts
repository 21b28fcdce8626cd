import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readFloat32, readSafetensorsHeader, readTensor } from "../../src/formats/safetensors.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { workloadSBatch, workloadSConfig, workloadSLora } from "./workloadS.js";

/** A library that is compared with, by the name of its file in ../peers. */
export type Peer = "tfjs" | "jax";

export interface PeerStepOptions {
  readonly peer: Peer;
  readonly folder: string;
}

export interface PeerSample {
  readonly version: string;
  /** Milliseconds of one step. */
  readonly ms: number;
  /** Distance of the step's loss to the float64 truth. */
  readonly lossError: number;
}

interface Matrix {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

interface PeerModule {
  readonly version: string;
  openStep(
    model: object,
  ): Promise<(parameters: Float32Array[]) => Promise<{ loss: number; gradients: Float32Array[] }>>;
}

/**
 * Steps of workload S from its own initial adapter. The peer computes loss and gradients; AdamW on the 13,312
 * parameters, which takes a fraction of a millisecond, is done here.
 */
export async function openPeerStep(options: PeerStepOptions): Promise<() => Promise<PeerSample>> {
  const { peer, folder } = options;
  const module = (await import(
    new URL(`../peers/${peer}.mjs`, import.meta.url).href
  )) as PeerModule;
  const model = peerModel(folder);
  const step = await module.openStep(model);
  const parameters = model.parameters.map(({ data }) => data.slice());
  const update = adamW(parameters);
  const text = readFileSync(join(folder, "expected.json"), "utf8");
  const expected = (JSON.parse(text) as { losses_f64: number[] }).losses_f64;
  let done = 0;
  return async () => {
    const began = performance.now();
    const { loss, gradients } = await step(parameters);
    update(gradients);
    const ms = performance.now() - began;
    return { version: module.version, ms, lossError: Math.abs(loss - expected[done++]!) };
  };
}

/** Everything a peer needs, in the forms that all of them know. */
function peerModel(folder: string) {
  const tensors = (name: string) => readSafetensorsHeader(join(folder, name)).tensors;
  const base = tensors("base.safetensors");
  const initial = tensors("lora_init.safetensors");
  const matrix = (from: typeof base, name: string): Matrix => {
    const tensor = from.get(name)!;
    return { data: readFloat32(tensor), shape: tensor.shape };
  };
  const { numLayers, headDim, ropeBase } = workloadSConfig;
  const { size, length } = workloadSBatch;
  const layers = Array.from({ length: numLayers }, (_, i) => {
    const weight = (name: string) => matrix(base, `model.layers.${i}.${name}.weight`);
    const [q, k, v, o] = ["q", "k", "v", "o"].map((name) => weight(`self_attn.${name}_proj`));
    const [gate, up, down] = ["gate", "up", "down"].map((name) => weight(`mlp.${name}_proj`));
    const inputNorm = weight("input_layernorm");
    return { inputNorm, q, k, v, o, postNorm: weight("post_attention_layernorm"), gate, up, down };
  });
  const adapted = gemmaModules(workloadSConfig).filter(({ path }) =>
    workloadSLora.targets.some((target) => path.endsWith(target)),
  );
  const parameters = adapted.flatMap(({ path }) =>
    ["A", "B"].map((side) => matrix(initial, `base_model.model.${path}.lora_${side}.weight`)),
  );
  const batch = tensors("batch.safetensors");
  const angle = (i: number) => {
    const half = i % (headDim / 2);
    return Math.floor(i / headDim) * ropeBase ** ((-2 * half) / headDim);
  };
  const table = (f: (x: number) => number) =>
    Float32Array.from({ length: length * headDim }, (_, i) => f(angle(i % (length * headDim))));
  return {
    ...{ batch: size, length, layers, parameters, headDim },
    ...{ heads: workloadSConfig.numHeads, hidden: workloadSConfig.hiddenSize },
    ...{ vocabulary: workloadSConfig.vocabularySize, epsilon: workloadSConfig.rmsNormEps },
    scale: workloadSLora.alpha / workloadSLora.rank,
    embedding: matrix(base, "model.embed_tokens.weight"),
    finalNorm: matrix(base, "model.norm.weight"),
    ids: readTensor(batch.get("input_ids")!) as Int32Array,
    targets: readTensor(batch.get("targets")!) as Int32Array,
    cos: table(Math.cos),
    sin: table(Math.sin),
  };
}

/** AdamW as PyTorch has it, with the settings of the workload. */
function adamW(parameters: readonly Float32Array[]): (gradients: Float32Array[]) => void {
  const [rate, beta1, beta2, epsilon, decay] = [1e-3, 0.9, 0.999, 1e-8, 0.01];
  const means = parameters.map((values) => new Float32Array(values.length));
  const squares = parameters.map((values) => new Float32Array(values.length));
  let step = 0;
  return (gradients) => {
    step += 1;
    for (const [p, values] of parameters.entries()) {
      const [m, v, g] = [means[p]!, squares[p]!, gradients[p]!];
      for (let i = 0; i < values.length; i++) {
        m[i] = beta1 * m[i]! + (1 - beta1) * g[i]!;
        v[i] = beta2 * v[i]! + (1 - beta2) * g[i]! ** 2;
        const size = Math.sqrt(v[i]! / (1 - beta2 ** step)) + epsilon;
        values[i] = values[i]! * (1 - rate * decay) - (rate * m[i]!) / (1 - beta1 ** step) / size;
      }
    }
  };
}
