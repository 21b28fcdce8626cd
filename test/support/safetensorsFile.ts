import type { HostTensor } from "../../src/engines/engine.js";
import { readSafetensorsHeader, readTensor } from "../../src/formats/safetensors.js";

/** A safetensors file's F32 and I32 tensors by name; throws for a name that is not in it. */
export function openTensors(path: string) {
  const { tensors } = readSafetensorsHeader(path);
  const info = (name: string) => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`${path} has no tensor ${name}`);
    return found;
  };
  const tensor = (name: string): HostTensor => {
    const data = readTensor(info(name));
    if (!(data instanceof Float32Array || data instanceof Int32Array)) {
      throw new Error(`${path}: ${name} is neither F32 nor I32`);
    }
    return { data, shape: info(name).shape };
  };
  return { tensors, tensor, names: [...tensors.keys()] };
}
