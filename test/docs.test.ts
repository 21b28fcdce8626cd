import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { withTables } from "../scripts/optionTable.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join("docs", file)),
];

/** Text of a page without its code blocks, where brackets mean other things. */
const prose = (page: string) => read(page).replace(/^```.*?^```/gms, "");

describe.each(pages)("%s", (page) => {
  test("links to files that exist", () => {
    const targets = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
    const broken = targets
      .filter((target) => !/^(https?:|mailto:|#)/.test(target))
      .map((target) => target.replace(/#.*$/, ""))
      .filter((target) => !existsSync(resolve(root, dirname(page), target)));
    expect(broken).toEqual([]);
  });

  test("names source and test files that exist", () => {
    const paths = [...read(page).matchAll(/(?<![\w./-])(?:src|test)\/[\w./-]*\w/g)];
    expect(paths.map((match) => match[0]).filter((path) => !existsSync(join(root, path)))).toEqual(
      [],
    );
  });

  test("quotes code as it is", () => {
    const quotes = [...read(page).matchAll(/^```ts\n\/\/ (src\/\S+)\n(.*?)^```/gms)];
    const changed = quotes
      .filter(([, path, code]) => !read(path!).includes(code!.trimEnd()))
      .map(([, path]) => path);
    expect(changed).toEqual([]);
  });
});

test("the folders of docs/architecture.md are those that the architecture test allows", () => {
  const rows = [...read("docs/architecture.md").matchAll(/^\| `(\w+)` +\| [^|]+ \| ([^|]+) \|$/gm)];
  const documented = new Map(rows.map(([, folder, imports]) => [folder, names(imports!, "`")]));
  const table = /const mayImport[^=]*= \{(.*?)^\};/ms.exec(read("test/architecture.test.ts"))![1]!;
  const allowed = new Map(
    [...table.matchAll(/(\w+): \[([^\]]*)\]/g)].map(([, folder, imports]) => [
      folder,
      names(imports!, '"'),
    ]),
  );
  expect(allowed.size).toBeGreaterThan(10);
  expect(documented).toEqual(allowed);
});

test("docs/dependencies.md has a line for every dependency, and for no other package", () => {
  const manifest = JSON.parse(read("package.json"));
  const wanted = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  const [, listed] = read("docs/dependencies.md").split(/^## Dependencies$/m);
  const lines = [...listed!.matchAll(/^- `([^`]+)`: \S/gm)].map((match) => match[1]!);
  expect(lines.sort()).toEqual(wanted.sort());
});

test("the tables of docs/options.md are those of the schemas: npm run docs writes them", () => {
  const page = read("docs/options.md");
  expect(page).toBe(withTables(page));
  expect(page).toContain("`--learning-rate <x>`");
});

test("pages are found", () => {
  expect(pages.map((page) => relative("docs", page))).toContain("architecture.md");
});

/** The names that stand between quotes, in order. */
const names = (text: string, quote: string) => text.split(quote).filter((_, i) => i % 2 === 1);
