import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileDigests } from "../../src/recipes/runFolder.js";
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
