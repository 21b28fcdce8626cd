import { readMlxAdapter, writeMlxAdapter } from "../../../src/adapters/mlx.js";
import { readPeft, writePeft } from "../../../src/adapters/peft.js";
import type { LoraMatrices } from "../../../src/formats/loraMatrices.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import type { Files } from "../memoryFolder.js";
import { fixture, fixtureModules, tinyMatrices, tinyModules, written } from "../tinyModel.js";

const modules = tinyModules("gemma");
const plain = { matrices: tinyMatrices("gemma"), baseModel: "google/gemma-2b" };
const dora = {
  ...plain,
  matrices: new Map(
    [...plain.matrices].map(([path, lora]) => [
      path,
      { ...lora, magnitude: new Float32Array(lora.outFeatures).fill(1) },
    ]),
  ),
};

function useMatrices(matrices: ReadonlyMap<string, LoraMatrices>): void {
  for (const { a, b, rank, inFeatures, outFeatures, scale, magnitude } of matrices.values()) {
    expectThat(a.length === rank * inFeatures && b.length === rank * outFeatures, "a pair");
    expectThat((magnitude?.length ?? outFeatures) === outFeatures, "a magnitude for each row");
    expectThat(Number.isFinite(scale), "a scale");
  }
}

/** The same adapter with every setting of PEFT that changes what is read. */
function withPatterns(files: Files): Files {
  const config = JSON.parse(Buffer.from(files.get("adapter_config.json")!).toString());
  const more = {
    ...config,
    rank_pattern: { "layers\\.\\d+\\.self_attn\\.q_proj": 2, "^x.*y+$": 3 },
    alpha_pattern: { "self_attn.v_proj": 4 },
    layers_to_transform: [0],
    exclude_modules: [],
    use_rslora: true,
    init_lora_weights: "gaussian",
  };
  return new Map(files).set("adapter_config.json", Buffer.from(JSON.stringify(more)));
}

export const peft: FuzzedFormat = {
  name: "peft",
  seeds: async () => {
    const seed = await written((folder) => writePeft(folder, plain, modules));
    return [
      seed,
      await written((folder) => writePeft(folder, dora, modules)),
      withPatterns(seed),
      new Map(
        ["adapter_config.json", "adapter_model.safetensors"].map((name) => [
          name,
          fixture(`gemma1_tiny/peft_qv/${name}`),
        ]),
      ),
    ];
  },
  read(folder) {
    const { matrices } = readPeft(folder);
    useMatrices(matrices);
    const isTiny = [...matrices.values()][0]!.inFeatures === modules[0]!.inFeatures;
    useMatrices(readPeft(folder, isTiny ? modules : fixtureModules).matrices);
  },
};

export const mlx: FuzzedFormat = {
  name: "mlx",
  seeds: async () => [
    await written((folder) => writeMlxAdapter(folder, plain, 1)),
    await written((folder) => writeMlxAdapter(folder, dora, 1)),
  ],
  read(folder) {
    useMatrices(readMlxAdapter(folder).matrices);
    useMatrices(readMlxAdapter(folder, modules).matrices);
  },
};
