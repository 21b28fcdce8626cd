import type { Array64 } from "./referenceOperations.js";

/**
 * The five outputs of crossEntropy from whole logits: Σ weights · loss, each row's loss, whether its
 * best id is the target, and ∂loss/∂hidden and ∂loss/∂table by the chain rule over the logits.
 */
export function crossEntropy(
  hidden: Array64,
  table: Array64,
  targets: Array64,
  weights: Array64,
  softCap: number,
): Array64[] {
  const [rows, width] = hidden.shape as [number, number];
  const ids = table.shape[0]!;
  const rowLoss = new Float64Array(rows);
  const correct = new Float64Array(rows);
  const hiddenGradient = new Float64Array(rows * width);
  const tableGradient = new Float64Array(ids * width);
  for (let r = 0; r < rows; r++) {
    const h = hidden.data.subarray(r * width, (r + 1) * width);
    const raw = Array.from({ length: ids }, (_, id) =>
      h.reduce((total, value, i) => total + value * table.data[id * width + i]!, 0),
    );
    const logits = raw.map((z) => (softCap > 0 ? softCap * Math.tanh(z / softCap) : z));
    const largest = Math.max(...logits);
    const total = logits.reduce((sum, z) => sum + Math.exp(z - largest), 0);
    const target = targets.data[r]!;
    rowLoss[r] = largest + Math.log(total) - logits[target]!;
    correct[r] = Number(logits[target] === largest);
    logits.forEach((z, id) => {
      const slope = softCap > 0 ? 1 - (z / softCap) ** 2 : 1;
      const p = Math.exp(z - largest) / total;
      const d = weights.data[r]! * slope * (p - Number(id === target));
      for (let i = 0; i < width; i++) {
        const [at, from] = [id * width + i, r * width + i];
        hiddenGradient[from] = hiddenGradient[from]! + d * table.data[at]!;
        tableGradient[at] = tableGradient[at]! + d * h[i]!;
      }
    });
  }
  const loss = rowLoss.reduce((sum, value, r) => sum + value * weights.data[r]!, 0);
  return [
    { data: Float64Array.of(loss), shape: [] },
    { data: rowLoss, shape: [rows] },
    { data: correct, shape: [rows] },
    { data: hiddenGradient, shape: hidden.shape },
    { data: tableGradient, shape: table.shape },
  ];
}
