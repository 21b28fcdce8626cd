import { integerField, optionalInteger, type Struct, structField, textOf } from "./thrift.js";

/** How the values of a column become those of JavaScript, by its type in parquet.thrift. */
export type LeafType =
  | { readonly kind: "text" | "boolean" | "int64" | "float" | "double" }
  | { readonly kind: "int32"; readonly unsigned: boolean }
  /** Left as bytes: this many, or as many as each value says. */
  | { readonly kind: "bytes"; readonly width: number | undefined };

/** A column, or what is below one. */
export interface SchemaNode {
  readonly name: string;
  readonly path: readonly string[];
  readonly repetition: "required" | "optional" | "repeated";
  /** Of how many optional or repeated nodes it is part, itself included; and of how many repeated ones. */
  readonly definition: number;
  readonly repeats: number;
  /** Undefined for a structure. */
  readonly leaf: LeafType | undefined;
  readonly children: readonly SchemaNode[];
  /** Whether the structure stands for a list, whose items are those of its only child. */
  readonly isList: boolean;
}

/** Structures in structures that are read; more are refused. */
const DEEPEST = 24;
const repetitions = ["required", "optional", "repeated"] as const;

/** The columns of a schema, which is a tree written as a list, each node before what is below it. */
export function readSchema(elements: readonly Struct[]): SchemaNode[] {
  let next = 0;
  const node = (above: Pick<SchemaNode, "path" | "definition" | "repeats">): SchemaNode => {
    const element = elements[next++];
    if (element === undefined) throw new Error("its list of columns is cut off");
    const name = textOf(element.get(4), "what a column is called");
    const isRoot = next === 1;
    const repetition = isRoot ? "required" : repetitions[optional(element, 3) ?? 0];
    if (repetition === undefined) throw new Error("it does not say whether values may be missing");
    const count = optional(element, 5) ?? 0;
    const own = {
      path: isRoot ? [] : [...above.path, name],
      definition: above.definition + (repetition === "required" ? 0 : 1),
      repeats: above.repeats + (repetition === "repeated" ? 1 : 0),
    };
    if (own.path.length > DEEPEST) throw new Error("its columns are nested too deep");
    const children: SchemaNode[] = [];
    // Every child takes an element, so a count that is a lie ends above.
    for (let i = 0; i < count; i++) children.push(node(own));
    requireDistinct(children);
    const leaf = children.length === 0 && !isRoot ? leafType(element) : undefined;
    const isList =
      (optional(element, 6) === 3 || logical(element)?.has(3) === true) &&
      children.length === 1 &&
      children[0]!.repetition === "repeated";
    return { name, ...own, repetition, leaf, children, isList };
  };
  const root = node({ path: [], definition: 0, repeats: 0 });
  if (next !== elements.length) throw new Error("it has columns that belong to none");
  return [...root.children];
}

/** The nodes without children below a node, in order; itself if it has none. */
export const leavesOf = (node: SchemaNode): SchemaNode[] =>
  node.leaf === undefined ? node.children.flatMap(leavesOf) : [node];

function requireDistinct(nodes: readonly SchemaNode[]): void {
  const names = new Set<string>();
  for (const { name } of nodes) {
    if (names.has(name)) throw new Error(`the column "${name}" occurs twice`);
    names.add(name);
  }
}

const optional = (element: Struct, id: number) => optionalInteger(element, id, "what a column is");
const logical = (element: Struct) =>
  element.has(10) ? structField(element, 10, "what a column is") : undefined;

const DECIMAL = 5;
/** Converted types of text: none (older writers), UTF8, ENUM, JSON. */
const texts = [undefined, 0, 4, 19];
/** The same as logical types: STRING, ENUM, JSON. */
const logicalTexts = [1, 4, 12];

function leafType(element: Struct): LeafType {
  const converted = optional(element, 6);
  const meaning = logical(element);
  const isDecimal = converted === DECIMAL || meaning?.has(DECIMAL) === true;
  switch (integerField(element, 1, "what a column is")) {
    case 0:
      return { kind: "boolean" };
    case 1:
      if (isDecimal) return { kind: "bytes", width: 4 };
      return {
        kind: "int32",
        unsigned: converted !== undefined && converted >= 11 && converted <= 13,
      };
    case 2:
      return isDecimal ? { kind: "bytes", width: 8 } : { kind: "int64" };
    case 3:
      return { kind: "bytes", width: 12 };
    case 4:
      return { kind: "float" };
    case 5:
      return { kind: "double" };
    case 6: {
      const isText =
        meaning === undefined
          ? texts.includes(converted)
          : logicalTexts.some((id) => meaning.has(id));
      return isText ? { kind: "text" } : { kind: "bytes", width: undefined };
    }
    case 7: {
      const width = integerField(element, 2, "how long the values of a column are");
      if (width > 0) return { kind: "bytes", width };
    }
  }
  throw new Error("it has a column of a type that is not known");
}
