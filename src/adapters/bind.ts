import { FacetError } from "../errors.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { adaptedModules } from "../lora/peft.js";
import { withinTextModel } from "../models/gemma/textTensors.js";
import type { LinearModule } from "../nn/linear.js";
import type { AdapterFile } from "./adapterFile.js";

/**
 * The adapter under the names of the base model's modules. Files differ in the path to the text model
 * (`model.`, `model.language_model.`, `language_model.model.`): what stands after it decides. Throws a FacetError, which
 * begins with `where`, for matrices of a module that the model does not have or has in another size, and when two are
 * for the same module.
 */
export function bindAdapter(
  file: AdapterFile,
  modules: readonly LinearModule[],
  where: string,
): AdapterFile {
  const byRest = new Map(modules.map(({ path }) => [withinTextModel(path), path]));
  const matrices = new Map<string, LoraMatrices>();
  for (const [name, lora] of file.matrices) {
    const path = byRest.get(withinTextModel(name) ?? name) ?? name;
    if (matrices.has(path)) throw new FacetError(`${where} adapts ${path} twice, under two names.`);
    matrices.set(path, lora);
  }
  adaptedModules(matrices, modules, where);
  if (file.whole === undefined) return { ...file, matrices };
  const { path } = modules[0]!;
  const textPath = path.slice(0, path.length - withinTextModel(path)!.length);
  const whole = [...file.whole].map(([name, tensor]) => {
    const rest = withinTextModel(name);
    return [rest === undefined ? name : textPath + rest, tensor] as const;
  });
  return { ...file, matrices, whole: new Map(whole) };
}

/** Throws a FacetError when one of the `expected` modules has no matrices. `reason` says who expects them. */
export function requireComplete(
  { matrices }: AdapterFile,
  expected: readonly LinearModule[],
  where: string,
  reason: string,
): void {
  const missing = expected.filter(({ path }) => !matrices.has(path));
  if (missing.length === 0) return;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
  throw new FacetError(
    `${where} has no matrices for ${missing[0]!.path}${more}, though ${reason}. The file is incomplete; get it again.`,
  );
}
