import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../src/graph", import.meta.url));

/**
 * The names of all operations in src/graph, from its source: `const fooOperation` is declared as an
 * object with a name, or made from one.
 */
export function operationNames(): string[] {
  return readdirSync(folder).flatMap((file) => {
    const text = readFileSync(`${folder}/${file}`, "utf8");
    const declared = [...text.matchAll(/^(?:export )?const (\w+)Operation\b/gm)].map((m) => m[1]!);
    const typed = [...text.matchAll(/: Operation = \{\s*name: "(\w+)"/g)].map((m) => m[1]!);
    const made = [...text.matchAll(/= (?:unary|binary|source)\("(\w+)"/g)].map((m) => m[1]!);
    const named = [...typed, ...made];
    if (named.length !== declared.length) {
      throw new Error(`${file} declares ${declared} but names ${named}: this test must follow`);
    }
    return named;
  });
}
