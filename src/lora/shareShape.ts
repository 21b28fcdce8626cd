import type { LoraMatrices } from "../formats/loraMatrices.js";
import type { LinearModule } from "../nn/linear.js";
import type { Adapter } from "./adapter.js";
import { commonShape, fromPeft, matricesOf } from "./peft.js";
import { requireMatricesOnly } from "./whole.js";

/**
 * Adapters of one model brought to one shape, so that one program runs them all: the modules of any of them, at the
 * largest rank, padded with zeros. `none` has that shape too and changes nothing. Magnitudes of DoRA stay.
 */
export function shareShape(adapters: readonly Adapter[]): {
  readonly adapters: readonly Adapter[];
  readonly none: Adapter;
} {
  const modules = new Map(
    adapters.flatMap((adapter) => adapter.modules.map((module) => [module.path, module])),
  );
  for (const adapter of adapters) requireMatricesOnly(adapter, "A model can be switched between");
  const each = adapters.map(matricesOf);
  const shape = commonShape(each.flatMap((matrices) => [...matrices.values()]));
  const config = { ...shape, targets: [] };
  const all = [...modules.values()];
  const shaped = (matrices: ReadonlyMap<string, LoraMatrices>) => {
    const whole = all.map(
      (module) => [module.path, matrices.get(module.path) ?? zeros(module)] as const,
    );
    return fromPeft(new Map(whole), config, all, "the adapter");
  };
  return { adapters: each.map(shaped), none: shaped(new Map()) };
}

const zeros = ({ inFeatures, outFeatures }: LinearModule): LoraMatrices => ({
  a: new Float32Array(inFeatures),
  b: new Float32Array(outFeatures),
  ...{ rank: 1, inFeatures, outFeatures, scale: 1 },
});
