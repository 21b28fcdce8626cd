import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";
import { FacetError } from "../../errors.js";
import type { Program } from "../../graph/index.js";
import { bindInputs, checkOutputs } from "../bindings.js";
import type { Engine, Executable, HostTensor } from "../engine.js";
import type { ProgramProfile } from "../profile.js";
import { toOnnx } from "./compile.js";
import { openProfiler } from "./profiler.js";
import { multipliesIntegers } from "./quantized.js";

export interface OnnxEngineOptions {
  /** Threads inside one operator; default: all cores available to the process. */
  readonly threads?: number;
  /**
   * Keep a second copy of the weights in the layout that the matrix product likes best: 10–30 %
   * faster, at the cost of that memory. Default false: weights are only mapped.
   */
  readonly prepackWeights?: boolean;
  /** ONNX Runtime's own graph rewriting. Default "disabled": the program is already what should run. */
  readonly optimization?: "disabled" | "all";
  /** Given for each program where the time of its first runs went, when they are done or it is closed. */
  readonly onProfile?: (profile: ProgramProfile) => void;
}

/** The default engine: one ONNX model per program, run by ONNX Runtime on the CPU. */
export function onnxEngine(options: OnnxEngineOptions = {}): Engine {
  return {
    name: "onnx",
    compile: (program, programName = "program") => compile(program, programName, options),
  };
}

async function compile(
  program: Program,
  name: string,
  options: OnnxEngineOptions,
): Promise<Executable> {
  const { bytes, runtimeIntegers, weightFolder } = toOnnx(program);
  const keepsBuffers = !widensLargeWeights(program);
  let profiler = options.onProfile && openProfiler(name, program);
  const session = await createSession(bytes, {
    ...options,
    weightFolder,
    keepsBuffers,
    packsWeights: (options.prepackWeights ?? false) || multipliesIntegers(program),
    profile: profiler?.prefix,
  });
  const endProfile = () => {
    session.endProfiling();
    const profile = profiler?.finish();
    profiler = undefined;
    if (profile !== undefined) options.onProfile?.(profile);
  };
  const outputNames = [...program.outputs.keys()];
  let open = true;
  return {
    async run(inputs, into = {}) {
      if (!open) throw new Error("this executable is closed");
      const bindings = bindInputs(program, inputs);
      checkOutputs(program, into, bindings);
      const feeds: Record<string, ort.Tensor> = {};
      for (const [name, value] of Object.entries(inputs)) feeds[name] = toOrt(value);
      for (const { name, scalar, evaluate } of runtimeIntegers) {
        const data = BigInt64Array.from(evaluate(bindings), BigInt);
        feeds[name] = new ort.Tensor("int64", data, scalar ? [] : [data.length]);
      }
      const fetches: Record<string, ort.Tensor | null> = {};
      for (const name of outputNames) fetches[name] = into[name] ? toOrt(into[name]) : null;
      const began = performance.now();
      const results = await session.run(feeds, fetches);
      if (profiler?.ran(bindings, performance.now() - began)) endProfile();
      return Object.fromEntries(
        outputNames.map((name) => [name, into[name] ?? fromOrt(results[name]!)]),
      );
    },
    async close() {
      if (!open) return;
      open = false;
      if (profiler !== undefined) endProfile();
      await session.release();
    },
  };
}

/**
 * Whether a weight is widened at its use to 128 MiB or more. Buffers of that size are given back to
 * the system after each use; ONNX Runtime's arena would keep several of them.
 */
function widensLargeWeights(program: Program): boolean {
  if (multipliesIntegers(program)) return false;
  return program.nodes.some(({ attributes, outputs }) => {
    const { shape, dtype } = outputs[0]!;
    if (attributes.region === undefined || dtype === "float32") return false;
    return (shape as number[]).reduce((count, size) => count * size, 4) >= 2 ** 27;
  });
}

interface SessionOptions extends Omit<OnnxEngineOptions, "onProfile" | "prepackWeights"> {
  readonly packsWeights: boolean;
  readonly weightFolder: string | undefined;
  /** Whether memory that a run has used is kept for the next one. */
  readonly keepsBuffers: boolean;
  /** Prefix of the file in which ONNX Runtime writes the time of every node. */
  readonly profile: string | undefined;
}

async function createSession(
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
      // Folding would keep a float32 copy of every weight stored in half precision.
      extra: { session, optimization: { disable_specified_optimizers: "ConstantFolding" } },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FacetError(`ONNX Runtime could not open the compiled program: ${reason}`);
  }
}

function toOrt({ data, shape }: HostTensor): ort.Tensor {
  return data instanceof Float32Array
    ? new ort.Tensor("float32", data, shape)
    : new ort.Tensor("int32", data, shape);
}

const fromOrt = (tensor: ort.Tensor): HostTensor => ({
  data: tensor.data as Float32Array | Int32Array,
  shape: tensor.dims,
});
