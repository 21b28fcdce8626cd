import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Reference numbers and third-party data; `FACET_SHARED` moves the folder. */
const shared = process.env.FACET_SHARED ?? join(root, "..", "shared");

export const sharedPaths = {
  kerasFacts: join(shared, "fixtures", "keras_facts.json"),
  workloadS: join(shared, "fixtures", "workload_s"),
  dolly: join(shared, "data", "databricks-dolly-15k.jsonl"),
  gemmaTokenizer: join(shared, "data", "gemma", "tokenizer.model"),
};

/** Where their packed weights are kept. */
export const packFolder = (): string => join(cacheFolder(), "packed");

/** Where the random-weight models are kept between runs. Not under version control. */
export function cacheFolder(): string {
  const folder = join(root, ".cache", "bench");
  mkdirSync(folder, { recursive: true });
  return folder;
}
