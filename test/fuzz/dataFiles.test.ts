import { expect, test } from "vitest";
import { dataFileFormats, fuzzDataFiles } from "./dataFiles.js";

// npm run fuzz -- --format csv takes more.
test.each(dataFileFormats)("damaged %s files are read or refused", async (format) => {
  const { findings, accepted } = await fuzzDataFiles(format, { seed: 1, cases: 500 });
  expect(findings).toEqual([]);
  // If all were refused at the door, nothing would have been tried.
  expect(accepted).toBeGreaterThan(5);
});
