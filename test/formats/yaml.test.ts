import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { readYamlObject } from "../../src/formats/yaml.js";
import { temporaryFolder } from "../support/modelFolder.js";

const read = (text: string) => {
  const path = join(temporaryFolder(), "run.yaml");
  writeFileSync(path, text);
  return readYamlObject(path);
};

describe("readYamlObject", () => {
  test("reads YAML, with the line of each key", () => {
    const { values, lineOf } = read(
      "# a run\nrank: 8\nmodules:\n  - q_proj\n  - v_proj\nlearningRate: 1e-4\nprompts: ['yes', no]\n",
    );
    expect(values).toEqual({
      rank: 8,
      modules: ["q_proj", "v_proj"],
      learningRate: 1e-4,
      prompts: ["yes", "no"],
    });
    expect(["rank", "modules", "learningRate"].map(lineOf)).toEqual([2, 3, 6]);
  });

  test("reads JSON, which is YAML too", () => {
    const { values, lineOf } = read('{\n  "rank": 8,\n  "packing": true\n}\n');
    expect(values).toEqual({ rank: 8, packing: true });
    expect(lineOf("packing")).toBe(3);
  });

  test.each([
    ["rank: 8\nrank: 4\n", /run\.yaml, line 2: Map keys must be unique/],
    ["rank: [8\nalpha: 4\n", /run\.yaml, line \d: /],
    ["- rank\n", /must hold options, one "name: value" a line/],
    ["", /must hold options/],
    ["rank: 8\n---\nrank: 9\n", /run\.yaml, line 2: .*multiple documents/],
    ["rank: 8\n3: 4\n", /run\.yaml, line 2: the name of an option must be text/],
    ["rank: !!js/function 'x'\n", /run\.yaml, line 1: Unresolved tag/],
    [
      `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${[1, 2, 3, 4, 5, 6, 7, 8]
        .map((i) => `a${i}: &a${i} [${`*a${i - 1}, `.repeat(10)}]\n`)
        .join("")}`,
      /Excessive alias count/,
    ],
    ["x".repeat(2 ** 20 + 1), /has 1048577 characters/],
  ])("refuses %.60j", (text, message) => {
    expect(() => read(text)).toThrow(FacetError);
    expect(() => read(text)).toThrow(message);
  });
});
