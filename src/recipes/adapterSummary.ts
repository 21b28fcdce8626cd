import type { AdapterFile } from "../adapters/adapterFile.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import { updateNorm } from "../lora/updateNorm.js";

export interface ModuleSummary {
  readonly path: string;
  readonly rank: number;
  /** ‖scale · B A‖ (Frobenius); of DoRA without its rescaling of rows. */
  readonly updateNorm: number;
  /** ‖W‖ (Frobenius), where the base is known. */
  readonly weightNorm: number | undefined;
}

export interface AdapterSummary {
  readonly baseModel: string | undefined;
  /** Largest rank of a module. */
  readonly rank: number;
  /** Numbers in all of A and B, and the magnitudes of DoRA. */
  readonly parameters: number;
  readonly dora: boolean;
  readonly changesNothing: boolean;
  readonly modules: readonly ModuleSummary[];
  /** Over all modules together. */
  readonly updateNorm: number;
  readonly weightNorm: number | undefined;
}

/** What an adapter holds and how large it is; beside the weights that it changes, given `weight` by module path. */
export function summarizeAdapter(
  file: AdapterFile,
  weight?: (path: string) => StoredTensor,
): AdapterSummary {
  const loras = [...file.matrices.values()];
  const modules = [...file.matrices].map(([path, lora]) => ({
    path,
    rank: lora.rank,
    updateNorm: updateNorm(lora),
    weightNorm: weight && norm(weight(path)),
  }));
  const dora = loras.some(({ magnitude }) => magnitude !== undefined);
  const together = (norms: readonly number[]) => Math.hypot(...norms);
  return {
    baseModel: file.baseModel,
    rank: Math.max(...modules.map(({ rank }) => rank)),
    parameters: loras.reduce(
      (sum, { a, b, magnitude }) => sum + a.length + b.length + (magnitude?.length ?? 0),
      0,
    ),
    dora,
    // What DoRA changes depends on the base's weights.
    changesNothing:
      !dora && file.whole === undefined && modules.every((module) => module.updateNorm === 0),
    modules,
    updateNorm: together(modules.map((module) => module.updateNorm)),
    weightNorm: weight && together(modules.map((module) => module.weightNorm!)),
  };
}

function norm(tensor: StoredTensor): number {
  let squares = 0;
  for (const piece of tensor.read()) for (const value of piece) squares += value * value;
  return Math.sqrt(squares);
}
