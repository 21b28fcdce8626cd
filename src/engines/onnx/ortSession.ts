import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";
import { FacetError } from "../../errors.js";

export interface SessionOptions {
  readonly threads?: number | undefined;
  readonly optimization?: "disabled" | "all" | undefined;
  /** Whether the session packs weights for products, in memory of its own unless their file has them packed. */
  readonly packsWeights: boolean;
  /** The folder that weight locations are relative to. */
  readonly weightFolder: string | undefined;
  /** Whether memory that a run has used is kept for the next one. */
  readonly keepsBuffers: boolean;
  /** Prefix of the file in which ONNX Runtime writes the time of every node. */
  readonly profile?: string | undefined;
  /** Where to write the model again, with its packed weights in a file beside it of this name. */
  readonly saveTo?: { readonly model: string; readonly weights: string } | undefined;
}

/** A session of ONNX Runtime on the CPU. Throws a FacetError when it does not take the model. */
export async function openOrtSession(
  bytes: Uint8Array,
  options: SessionOptions,
): Promise<ort.InferenceSession> {
  const session: Record<string, unknown> = {
    // Spinning threads collapse when a neighbour takes a core.
    intra_op: { allow_spinning: "0" },
    disable_prepacking: options.packsWeights ? "0" : "1",
  };
  if (options.weightFolder !== undefined) {
    session.model_external_initializers_file_folder_path = options.weightFolder;
  }
  if (options.saveTo !== undefined) {
    session.save_external_prepacked_constant_initializers = "1";
    session.optimized_model_external_initializers_file_name = options.saveTo.weights;
    session.optimized_model_external_initializers_min_size_in_bytes = "1024";
  }
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: ["cpu"],
      intraOpNumThreads: options.threads ?? availableParallelism(),
      interOpNumThreads: 1,
      graphOptimizationLevel: options.optimization ?? "disabled",
      logSeverityLevel: 3,
      // A pattern per input length costs memory and, measured, gains no time.
      enableMemPattern: false,
      enableCpuMemArena: options.keepsBuffers,
      ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
      ...(options.saveTo ? { optimizedModelFilePath: options.saveTo.model } : {}),
      // Folding would keep a float32 copy of every weight stored in half precision.
      extra: { session, optimization: { disable_specified_optimizers: "ConstantFolding" } },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FacetError(`ONNX Runtime could not open the compiled program: ${reason}`);
  }
}
