import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("llama", import.meta.url));

/** Whether llama.cpp can run here; the tests that need it are skipped without. */
export const llamaIsInstalled = existsSync(
  `${folder}/node_modules/@node-llama-cpp/linux-x64/package.json`,
);
if (!llamaIsInstalled) {
  console.warn(
    "llama.cpp is not installed: the tests that load Facet's files into it are skipped. " +
      "To have it (on Linux x64): npm ci --prefix test/clients/llama",
  );
}

export interface LlamaRequest {
  /** A GGUF model. */
  readonly model: string;
  /** A GGUF adapter; llama.cpp multiplies its alpha by the scale. */
  readonly adapter?: { readonly path: string; readonly scale: number };
  /** Token ids, `<bos>` included, that llama.cpp is to continue. */
  readonly prompts?: readonly (readonly number[])[];
  /** How many tokens it is to add to each prompt, the most likely one each time. */
  readonly newTokens?: number;
  /** Texts to encode, without `<bos>`. */
  readonly texts?: readonly string[];
  /** Whether control tokens that the texts spell become those tokens; llama.cpp counts `<end_of_turn>` as one. */
  readonly controlTokens?: boolean;
}

export interface LlamaReply {
  readonly sequences: readonly {
    readonly tokens: readonly number[];
    /** Of all ids, after each token of the prompt and each new one but the last. */
    readonly logProbabilities: readonly (readonly number[])[];
  }[];
  readonly texts: readonly (readonly number[])[];
}

/** Asks llama.cpp. Throws with what it wrote when it fails, crashes, or takes more than a minute. */
export async function askLlama(request: LlamaRequest): Promise<LlamaReply> {
  const child = spawn(process.execPath, [`${folder}/client.mjs`], { timeout: 60_000 });
  child.stdin.end(
    JSON.stringify({ prompts: [], newTokens: 1, texts: [], controlTokens: false, ...request }),
  );
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (end !== "exit code 0") throw new Error(`llama.cpp ended with ${end}:\n${stderr}`);
  return JSON.parse(stdout) as LlamaReply;
}
