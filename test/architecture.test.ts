import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** Which folders each folder of src/ may import from. Single files at the top stand below all of them. */
const mayImport: Record<string, readonly string[]> = {
  graph: [],
  formats: [],
  tokenizers: ["formats"],
  report: [],
  search: [],
  engines: ["graph"],
  nn: ["graph"],
  data: ["tokenizers", "formats"],
  augment: ["data"],
  evaluation: ["data"],
  generation: ["engines"],
  models: ["graph", "nn", "formats"],
  lora: ["graph", "nn", "engines", "formats"],
  checkpoints: ["formats", "models", "tokenizers", "lora", "nn"],
  adapters: ["formats", "models", "tokenizers", "lora", "nn", "engines"],
  training: ["engines", "data", "formats"],
  hub: ["formats", "models", "tokenizers", "checkpoints"],
  runtime: [
    "graph",
    "engines",
    "models",
    "lora",
    "adapters",
    "generation",
    "hub",
    "formats",
    "tokenizers",
  ],
  recipes: [
    "adapters",
    "augment",
    "checkpoints",
    "engines",
    "evaluation",
    "data",
    "formats",
    "generation",
    "hub",
    "lora",
    "models",
    "nn",
    "report",
    "runtime",
    "search",
    "tokenizers",
    "training",
  ],
  keras: [
    "adapters",
    "checkpoints",
    "engines",
    "data",
    "formats",
    "generation",
    "hub",
    "lora",
    "models",
    "recipes",
    "runtime",
    "tokenizers",
    "training",
  ],
  cli: [
    "adapters",
    "checkpoints",
    "data",
    "engines",
    "evaluation",
    "formats",
    "generation",
    "graph",
    "hub",
    "lora",
    "models",
    "recipes",
    "runtime",
    "tokenizers",
    "training",
  ],
};

/** Each source file with the files it imports, relative to src/. */
function imports(): { file: string; imported: string[] }[] {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts"))
    .map((file) => {
      const text = readFileSync(join(src, file), "utf8");
      const paths = [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map((match) =>
        relative(src, resolve(src, file, "..", match[1]!)),
      );
      return { file, imported: paths };
    });
}

const folderOf = (file: string) => (file.includes("/") ? file.split("/")[0]! : "");

describe("the structure of src/", () => {
  test("every folder has its place", () => {
    const folders = readdirSync(src, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(folders.map((entry) => entry.name).sort()).toEqual(Object.keys(mayImport).sort());
  });

  test("dependencies point one way", () => {
    const wrong: string[] = [];
    for (const { file, imported } of imports()) {
      const from = folderOf(file);
      if (from === "") continue;
      for (const path of imported) {
        const to = folderOf(path);
        if (to !== "" && to !== from && !mayImport[from]!.includes(to))
          wrong.push(`${file} → ${path}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("the table has no cycle", () => {
    const visit = (folder: string, path: string[]): void => {
      expect(path, `${[...path, folder].join(" → ")}`).not.toContain(folder);
      for (const next of mayImport[folder]!) visit(next, [...path, folder]);
    };
    for (const folder of Object.keys(mayImport)) visit(folder, []);
  });

  test("a file is short enough to be one idea", () => {
    const long = imports()
      .map(({ file }) => ({
        file,
        lines: readFileSync(join(src, file), "utf8").split("\n").length,
      }))
      .filter(({ file, lines }) => lines > 300 && !file.endsWith("_pb.ts"));
    expect(long).toEqual([]);
  });

  test("no file or folder is named for nothing", () => {
    const vague = imports().filter(({ file }) =>
      /(^|\/)(utils?|helpers?|common|misc|manager)(\.ts|\/)/.test(file),
    );
    expect(vague).toEqual([]);
  });
});
