import { FacetError } from "../errors.js";
import type { PeftConfig } from "./peftConfig.js";
import { readFloat32, storedTensor, type TensorInfo } from "./safetensors.js";
import type { StoredTensor } from "./storedTensor.js";

/** What PEFT puts before the names of the base model's modules. */
const PREFIX = /^base_model\.model\./;
const EMBEDDING = /(?:model\.(?:language_model\.)?)?embed_tokens\.weight$/;

/** PEFT keeps the output head apart from the embedding, though in a Gemma they are one matrix. */
const headOf = (embedding: string) => embedding.replace(EMBEDDING, "lm_head.weight");

const moduleOf = (tensor: string) => tensor.split(".").at(-2)!;

/** Names for `modules_to_save` of these tensors. */
export const savedModules = (tensors: Iterable<string>): string[] =>
  [...new Set([...tensors].map(moduleOf))].sort();

/** The tensors with the embedding as the head too, if it is among them: a reader of PEFT replaces only what is there. */
export const withHead = (
  whole: ReadonlyMap<string, StoredTensor>,
): ReadonlyMap<string, StoredTensor> =>
  new Map(
    [...whole].flatMap(([name, tensor]) =>
      EMBEDDING.test(name)
        ? [[name, tensor] as const, [headOf(name), tensor] as const]
        : [[name, tensor]],
    ),
  );

/**
 * Takes the tensors that `modules_to_save` names apart from the low-rank matrices, by their names in the base model. The
 * head is checked and left out. Throws a FacetError for a head that is not the embedding, and where one of the named
 * modules has no tensor.
 */
export function wholeTensors(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  { modulesToSave }: PeftConfig,
): { whole: Map<string, StoredTensor>; lora: Map<string, TensorInfo> } {
  const found = new Map<string, TensorInfo>();
  const lora = new Map<string, TensorInfo>();
  for (const [name, info] of tensors) {
    const isWhole = name.endsWith(".weight") && modulesToSave.includes(moduleOf(name));
    if (isWhole) found.set(name.replace(PREFIX, ""), info);
    else lora.set(name, info);
  }
  const missing = modulesToSave.find(
    (name) => ![...found.keys()].some((key) => moduleOf(key) === name),
  );
  if (missing !== undefined) {
    throw new FacetError(`${file} has no weight for ${missing}, which modules_to_save names.`);
  }
  for (const [name, embedding] of found) {
    if (!EMBEDDING.test(name)) continue;
    const head = found.get(headOf(name));
    if (head === undefined || !sameValues(head, embedding)) {
      throw new FacetError(
        `${file}: the output head is another matrix than ${name}; in a Gemma they are one.`,
      );
    }
    found.delete(headOf(name));
  }
  return { whole: new Map([...found].map(([name, info]) => [name, storedTensor(info)])), lora };
}

function sameValues(one: TensorInfo, other: TensorInfo): boolean {
  if (one.shape.join() !== other.shape.join()) return false;
  const [a, b] = [readFloat32(one), readFloat32(other)];
  return a.every((value, i) => Object.is(value, b[i]));
}
