import type { Random } from "../../src/random.js";
import { happens, pick } from "./chance.js";
import type { Files } from "./memoryFolder.js";
import { mutateBytes } from "./mutateBytes.js";
import { mutateJson } from "./mutateJson.js";
import { mutateText } from "./mutateText.js";

/** Bytes of one file: what grows from case to case would soon take seconds. */
const LARGEST = 1 << 17;

/** Another input like `base`; `others` are inputs to take parts from. */
export function mutate(base: Files, others: readonly Files[], random: Random): Files {
  const files = new Map(base);
  const names = [...files.keys()];
  if (happens(random, 100)) {
    rearrange(files, names, random);
    return files;
  }
  const times = happens(random, 8) ? 2 : 1;
  for (let i = 0; i < times; i++) {
    const name = pick(random, names);
    const other = pick(random, others);
    const bytes = other.get(name) ?? pick(random, [...other.values()]);
    const changed = mutateFile(name, files.get(name)!, bytes, random);
    if (changed.length <= LARGEST) files.set(name, changed);
  }
  return files;
}

/** Files that are missing, have another's place, or are folders. */
function rearrange(files: Map<string, Uint8Array>, names: readonly string[], random: Random): void {
  const [one, two] = [pick(random, names), pick(random, names)];
  const bytes = files.get(one)!;
  switch (random.below(4)) {
    case 0:
      // Without any file there would be nothing to mutate.
      if (names.length > 1) files.delete(one);
      break;
    case 1:
      files.set(two, bytes);
      break;
    case 2:
      files.delete(one);
      files.set(`${one}/${one.split("/").at(-1)}`, bytes);
      break;
    default:
      files.set(one, new Uint8Array(0));
  }
}

function mutateFile(
  name: string,
  bytes: Uint8Array,
  other: Uint8Array,
  random: Random,
): Uint8Array {
  if (name.endsWith(".json") || name.endsWith(".jsonl")) {
    return happens(random, 10)
      ? mutateBytes(bytes, name, other, random)
      : mutateJson(bytes, random);
  }
  if (/\.(txt|jinja|csv)$/.test(name) && !happens(random, 5)) return mutateText(bytes, random);
  if (name.endsWith(".safetensors") && !happens(random, 4)) return mutateHeader(bytes, random);
  return mutateBytes(bytes, name, other, random);
}

const headers = new WeakMap<Uint8Array, Uint8Array>();

/** The JSON of a safetensors header, with its length right again. */
function mutateHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length < 8 ? 0 : Number(view.getBigUint64(0, true));
  if (length === 0 || length > bytes.length - 8) return mutateBytes(bytes, "", bytes, random);
  let header = headers.get(bytes);
  if (header === undefined) {
    header = bytes.slice(8, 8 + length);
    headers.set(bytes, header);
  }
  const changed = mutateJson(header, random);
  const result = new Uint8Array(bytes.length - length + changed.length);
  new DataView(result.buffer).setBigUint64(0, BigInt(changed.length), true);
  result.set(changed, 8);
  result.set(bytes.subarray(8 + length), 8 + changed.length);
  return result;
}
