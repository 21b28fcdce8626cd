import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";
import type { Program } from "../../graph/index.js";
import { bindInputs, checkOutputs } from "../bindings.js";
import type { CompileOptions, Engine, Executable, HostTensor } from "../engine.js";
import type { ProgramProfile } from "../profile.js";
import { toOnnx } from "./compile.js";
import { openOrtSession } from "./ortSession.js";
import { type PackFolder, packWeights } from "./packedWeights.js";
import { openProfiler } from "./profiler.js";
import { multipliesIntegers } from "./quantized.js";

export interface OnnxEngineOptions {
  /** Threads inside one operator; default: all cores available to the process. */
  readonly threads?: number;
  /**
   * Have the weights in the layout that the matrix product likes best, which is 5 to 20 % faster:
   * `true` makes a second, private copy of them for each program. A folder keeps the copy, three times
   * as large as the weights, for programs that run often; every session maps it. Default false:
   * weights are only mapped.
   */
  readonly prepackWeights?: boolean | PackFolder;
  /** ONNX Runtime's own graph rewriting. Default "disabled": the program is already what should run. */
  readonly optimization?: "disabled" | "all";
  /** Given for each program where the time of its first runs went, when they are done or it is closed. */
  readonly onProfile?: (profile: ProgramProfile) => void;
}

/** The default engine: one ONNX model per program, run by ONNX Runtime on the CPU. */
export function onnxEngine(options: OnnxEngineOptions = {}): Engine {
  return {
    name: "onnx",
    settings: {
      threads: options.threads ?? availableParallelism(),
      prepackWeights: (options.prepackWeights ?? false) !== false,
    },
    compile: (program, compileOptions = {}) => compile(program, compileOptions, options),
  };
}

async function compile(
  program: Program,
  { name = "program", runsOften = false }: CompileOptions,
  options: OnnxEngineOptions,
): Promise<Executable> {
  const { prepackWeights = false } = options;
  const folder = typeof prepackWeights === "boolean" ? undefined : prepackWeights;
  const packed = folder && runsOften ? await packWeights(program, folder) : undefined;
  const { bytes, runtimeIntegers, weightFolder } = toOnnx(program, packed);
  const keepsBuffers = !widensLargeWeights(program);
  let profiler = options.onProfile && openProfiler(name, program);
  const session = await openOrtSession(bytes, {
    threads: options.threads,
    optimization: options.optimization,
    weightFolder,
    keepsBuffers,
    packsWeights: prepackWeights === true || packed !== undefined || multipliesIntegers(program),
    profile: profiler?.prefix,
  }).catch((error) => {
    profiler?.finish();
    throw error;
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

function toOrt({ data, shape }: HostTensor): ort.Tensor {
  return data instanceof Float32Array
    ? new ort.Tensor("float32", data, shape)
    : new ort.Tensor("int32", data, shape);
}

const fromOrt = (tensor: ort.Tensor): HostTensor => ({
  data: tensor.data as Float32Array | Int32Array,
  shape: tensor.dims,
});
