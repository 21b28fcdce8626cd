import { rmSync } from "node:fs";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { exportAdapter } from "../../src/recipes/exportAdapter.js";
import type { ExportTargetName } from "../../src/recipes/exportTargets.js";
import type { Proof } from "../../src/recipes/proof.js";

export interface Export2bOptions {
  /** The base model and the adapter, both folders. */
  readonly model: string;
  readonly adapter: string;
  readonly to: ExportTargetName;
  readonly out: string;
  readonly verify: boolean;
  readonly threads: number;
}

export interface Export2bSample {
  readonly seconds: number;
  readonly proof: Proof | undefined;
}

/** One export, whose result is removed again. */
export async function openExport2b(
  options: Export2bOptions,
): Promise<() => Promise<Export2bSample>> {
  const { threads, ...given } = options;
  return async () => {
    const began = performance.now();
    const { out, proof } = await exportAdapter({ ...given }, onnxEngine({ threads }));
    const seconds = (performance.now() - began) / 1000;
    rmSync(out, { recursive: true });
    return { seconds, proof };
  };
}
