import type { Engine, HostTensor } from "../engines/engine.js";
import { input, matmul, program, symbol } from "../graph/index.js";

/** A row-major matrix outside the graph. */
export interface DenseMatrix extends HostTensor {
  readonly data: Float32Array;
  readonly shape: readonly [rows: number, columns: number];
}

/** Products of matrices of any size, in float32, by compiled programs. */
export interface DenseProducts {
  /** x @ y */
  times(x: DenseMatrix, y: DenseMatrix): Promise<DenseMatrix>;
  /** xᵀ @ y */
  transposedTimes(x: DenseMatrix, y: DenseMatrix): Promise<DenseMatrix>;
  close(): Promise<void>;
}

/** Compiles the products: the large matrices that adapters stand for are too large for loops in JavaScript. */
export async function openProducts(engine: Engine): Promise<DenseProducts> {
  const [rows, inner, columns] = ["M", "K", "N"].map(symbol);
  const y = input("y", [inner!, columns!]);
  const product = (transposeA: boolean) => {
    const x = input("x", transposeA ? [inner!, rows!] : [rows!, inner!]);
    return engine.compile(program({ product: matmul(x, y, { transposeA }) }));
  };
  const [plain, transposed] = [await product(false), await product(true)];
  const run =
    (executable: typeof plain) =>
    async (x: DenseMatrix, y: DenseMatrix): Promise<DenseMatrix> => {
      const outputs = await executable.run({ x, y });
      return outputs.product as DenseMatrix;
    };
  return {
    times: run(plain),
    transposedTimes: run(transposed),
    async close() {
      await plain.close();
      await transposed.close();
    },
  };
}
