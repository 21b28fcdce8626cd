import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { fileDigests, forgetLaterSteps, readJsonLines } from "../../src/recipes/runFolder.js";
import { temporaryFolder } from "../support/modelFolder.js";

test("files of the same name in two folders each have their digest", async () => {
  const folder = temporaryFolder();
  const paths = ["a", "b"].map((name) => join(folder, name, "text.txt"));
  for (const [i, name] of ["a", "b"].entries()) {
    mkdirSync(join(folder, name));
    writeFileSync(paths[i]!, name);
  }
  expect(await fileDigests(paths)).toEqual({
    "text.txt": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    [paths[1]!]: "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
  });
});

describe("metrics.jsonl", () => {
  const metrics = (text: string) => {
    const path = join(temporaryFolder(), "metrics.jsonl");
    writeFileSync(path, text);
    return path;
  };

  test("loses the lines of later steps, and half a line at its end", () => {
    const path = metrics('{"step":1}\n{"step":2}\n{"step":3}\n{"st');
    forgetLaterSteps(path, 2);
    expect(readFileSync(path, "utf8")).toBe('{"step":1}\n{"step":2}\n');
    expect(readJsonLines(path)).toEqual([{ step: 1 }, { step: 2 }]);
  });

  test.each(['{"step":[[1]]}', '{"step":}', "null", '{"step":1,"step":2}', '"{}"', "\uFFFD}"])(
    "with the line %s is refused by its number",
    (line) => {
      const path = metrics(`{"step":1}\n${line}\n`);
      expect(() => readJsonLines(path)).toThrow(FacetError);
      expect(() => readJsonLines(path)).toThrow(/metrics.jsonl, line 2: /);
      if (line.endsWith("}")) expect(() => forgetLaterSteps(path, 5)).toThrow(/line 2: /);
    },
  );
});
