/**
 * Dimensions of a tensor: a number, or a polynomial over named symbols with integer coefficients.
 *
 * Batch size `B` and sequence length `T` are symbols, so that one program serves every batch;
 * folding query heads into rows gives `4·T`, appending to a cache gives `P + T`.
 */
export type Dim = number | SymbolicDim;
export type Shape = readonly Dim[];
/** What the symbols stand for in one run, for example `{ B: 1, T: 107 }`. */
export type Bindings = Readonly<Record<string, number>>;

export interface SymbolicDim {
  /** Monomial ("" for the constant, "B*T" for a product) to coefficient; never a zero coefficient. */
  readonly terms: ReadonlyMap<string, number>;
  /** Canonical text; two dimensions are equal when their texts are. */
  readonly text: string;
}

export function symbol(name: string): SymbolicDim {
  return canonical(new Map([[name, 1]])) as SymbolicDim;
}

function canonical(terms: Map<string, number>): Dim {
  const kept = [...terms].filter(([, coefficient]) => coefficient !== 0).sort(byName);
  if (kept.length === 0) return 0;
  if (kept.length === 1 && kept[0]![0] === "") return kept[0]![1];
  const text = kept.map(([name, c]) => (name === "" ? `${c}` : c === 1 ? name : `${c}*${name}`));
  return { terms: new Map(kept), text: text.join("+") };
}

const byName = (a: [string, number], b: [string, number]) => (a[0] < b[0] ? -1 : 1);

function termsOf(dim: Dim): ReadonlyMap<string, number> {
  return typeof dim === "number" ? new Map(dim === 0 ? [] : [["", dim]]) : dim.terms;
}

export function addDims(a: Dim, b: Dim): Dim {
  const sum = new Map(termsOf(a));
  for (const [name, c] of termsOf(b)) sum.set(name, (sum.get(name) ?? 0) + c);
  return canonical(sum);
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  const product = new Map<string, number>();
  for (const [nameA, ca] of termsOf(a)) {
    for (const [nameB, cb] of termsOf(b)) {
      const name = [...symbolsOf(nameA), ...symbolsOf(nameB)].sort().join("*");
      product.set(name, (product.get(name) ?? 0) + ca * cb);
    }
  }
  return canonical(product);
}

const symbolsOf = (monomial: string) => (monomial === "" ? [] : monomial.split("*"));

export const elementCount = (shape: Shape): Dim => shape.reduce<Dim>(multiplyDims, 1);

export function sameDim(a: Dim, b: Dim): boolean {
  return a === b || (typeof a !== "number" && typeof b !== "number" && a.text === b.text);
}

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, i) => sameDim(dim, b[i]!));

export const formatDim = (dim: Dim): string => (typeof dim === "number" ? `${dim}` : dim.text);
export const formatShape = (shape: Shape): string => `[${shape.map(formatDim).join(", ")}]`;

/** The value of `dim` under `bindings`. Throws if a symbol is not bound. */
export function evaluateDim(dim: Dim, bindings: Bindings): number {
  let total = 0;
  for (const [monomial, coefficient] of termsOf(dim)) {
    let value = coefficient;
    for (const name of symbolsOf(monomial)) {
      const bound = bindings[name];
      if (bound === undefined) throw new Error(`dimension ${name} is not bound in this run`);
      value *= bound;
    }
    total += value;
  }
  return total;
}

/** NumPy broadcasting of two shapes; throws with both shapes named when they do not agree. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const da = a[i - (rank - a.length)] ?? 1;
    const db = b[i - (rank - b.length)] ?? 1;
    if (sameDim(da, db) || db === 1) result.push(da);
    else if (da === 1) result.push(db);
    else throw new Error(`shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast`);
  }
  return result;
}
