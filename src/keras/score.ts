import { FacetError, unknownName } from "../errors.js";
import type { Session } from "../runtime/session.js";
import { checkIds } from "./tokenIds.js";

export interface ScoreOptions {
  readonly scoringMode?: "logits" | "loss";
  /** What each position should predict, for "loss"; default: the row's next token. */
  readonly targetIds?: readonly (readonly number[])[];
}

export interface Scores {
  readonly data: Float32Array;
  /** `[batch, length, vocabulary]` of logits, or `[batch, length]` of losses. */
  readonly shape: number[];
}

/**
 * Logits of every position, or the cross-entropy of every position's target. Rows shorter than the
 * longest are padded; what stands for padding, and the loss where there is no target, is 0.
 */
export async function score(
  session: Session,
  tokenIds: readonly (readonly number[])[],
  { scoringMode = "logits", targetIds }: ScoreOptions,
): Promise<Scores> {
  if (scoringMode !== "logits" && scoringMode !== "loss") {
    throw unknownName("scoring mode", scoringMode, ["logits", "loss"]);
  }
  const batch = tokenIds.length;
  const length = Math.max(0, ...tokenIds.map((row) => row.length));
  const { vocabularySize } = session.model.config;
  checkIds(tokenIds, vocabularySize, "tokenIds");
  if (batch === 0 || length === 0) throw new FacetError("score was given no tokens.");
  const shape = [batch, length];
  const ids = new Int32Array(batch * length);
  tokenIds.forEach((row, b) => {
    ids.set(row, b * length);
  });
  const positions = Int32Array.from(ids, (_, place) => place % length);
  const inputs = { ids: { data: ids, shape }, positions: { data: positions, shape } };
  const places = (count: (row: number) => number) =>
    tokenIds.flatMap((_, b) => Array.from({ length: count(b) }, (_, t) => b * length + t));

  if (scoringMode === "logits") {
    const rows = Int32Array.from(places((b) => tokenIds[b]!.length));
    const program = await session.logits(length);
    const chosen = { rows: { data: rows, shape: [rows.length] } };
    const outputs = await program.run({ ...inputs, ...chosen, ...session.parameters });
    return scatter(outputs.logits!.data as Float32Array, rows, [batch, length, vocabularySize]);
  }
  const targets = targetIds ?? tokenIds.map((row) => row.slice(1));
  checkIds(targets, vocabularySize, "targetIds");
  const rows = Int32Array.from(
    places((b) => Math.min(targets[b]?.length ?? 0, tokenIds[b]!.length)),
  );
  if (rows.length === 0) throw new FacetError("score has no position with a target.");
  const count = [rows.length];
  const chosen = {
    rows: { data: rows, shape: count },
    targets: {
      data: rows.map((place) => targets[Math.floor(place / length)]![place % length]!),
      shape: count,
    },
    weights: { data: new Float32Array(rows.length).fill(1), shape: count },
  };
  const program = await session.evaluation(length);
  const outputs = await program.run({ ...inputs, ...chosen, ...session.parameters });
  return scatter(outputs.rowLoss!.data as Float32Array, rows, [batch, length]);
}

/** Puts the rows of a result at their places in a zero array of this shape. */
function scatter(values: Float32Array, rows: Int32Array, shape: number[]): Scores {
  const width = shape[2] ?? 1;
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  rows.forEach((place, i) => {
    data.set(values.subarray(i * width, (i + 1) * width), place * width);
  });
  return { data, shape };
}
