import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { input, matmul, program, weight } from "../../src/graph/index.js";
import { createRandom } from "../../src/random.js";

export const gemmSize = { rows: 512, inner: 2048, columns: 8192 } as const;
export const gemmFlops = 2 * gemmSize.rows * gemmSize.inner * gemmSize.columns;
export const gemmTensor = { name: "w", shape: [gemmSize.columns, gemmSize.inner] };

export interface GemmOptions {
  /** A safetensors file with `gemmTensor`. */
  readonly file: string;
  readonly threads: number;
}

export interface GemmTime {
  readonly ms: number;
  /** Processor time of all threads. */
  readonly cpuMs: number;
}

/** One product in each way of running it. */
export type GemmTimes = Readonly<Record<string, GemmTime>>;

/**
 * One product of a 512 × 2048 input and a frozen weight of 2048 × 8192, through the same engine as
 * the training step: with the weight transposed (as a forward pass uses it) or not (as a backward
 * pass does), prepacked or not. The fastest of them is the ceiling.
 */
export async function openGemm({ file, threads }: GemmOptions): Promise<() => Promise<GemmTimes>> {
  const { rows, inner, columns } = gemmSize;
  const region = readSafetensorsHeader(file).tensors.get(gemmTensor.name)!;
  const random = createRandom({ seed: 2, stream: "init" });
  const x = {
    data: Float32Array.from({ length: rows * inner }, () => random.uint32() / 2 ** 31 - 1),
    shape: [rows, inner],
  };
  const y = { data: new Float32Array(rows * columns), shape: [rows, columns] };
  const variants = [false, true].flatMap((prepackWeights) =>
    [true, false].map((transposeB) => ({ prepackWeights, transposeB })),
  );
  const programs = await Promise.all(
    variants.map(async ({ prepackWeights, transposeB }) => {
      const shape = transposeB ? [columns, inner] : [inner, columns];
      const w = weight(gemmTensor.name, shape, "float32", region);
      const product = matmul(input("x", x.shape), w, { transposeB });
      const engine = onnxEngine({ threads, prepackWeights });
      const name = `${transposeB ? "x wᵀ" : "x w"}${prepackWeights ? ", prepacked" : ""}`;
      return { name, executable: await engine.compile(program({ y: product })) };
    }),
  );
  return async () => {
    const times: Record<string, GemmTime> = {};
    for (const { name, executable } of programs) {
      const [began, before] = [performance.now(), process.cpuUsage()];
      await executable.run({ x }, { y });
      const { user, system } = process.cpuUsage(before);
      times[name] = { ms: performance.now() - began, cpuMs: (user + system) / 1000 };
    }
    return times;
  };
}
