import type { Session } from "../../src/runtime/session.js";

/** Row i: the logarithms of the probabilities of all ids after `ids[0..i]`, computed by the session's logits program. */
export async function logProbabilities(
  session: Session,
  ids: readonly number[],
): Promise<Float64Array[]> {
  const program = await session.logits(ids.length);
  const positions = Int32Array.from(ids, (_, i) => i);
  const shape = [1, ids.length];
  const { logits } = await program.run({
    ids: { data: Int32Array.from(ids), shape },
    positions: { data: positions, shape },
    rows: { data: positions, shape: [ids.length] },
    ...session.parameters,
  });
  const size = session.model.config.vocabularySize;
  return ids.map((_, i) => logSoftmax(logits!.data.subarray(i * size, (i + 1) * size)));
}

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const row = Float64Array.from(logits);
  const largest = row.reduce((a, b) => Math.max(a, b));
  const logSum = largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  return row.map((x) => x - logSum);
}
