import { afterAll, describe, expect, test } from "vitest";
import { uninstall as plainConstructors } from "./allocations.js";
import { fuzz } from "./campaign.js";
import { formats } from "./formats.js";
import { uninstall as plainFiles } from "./memoryFolder.js";
import { runCase } from "./oneCase.js";
import { savedCases } from "./savedCases.js";

/** Enough to notice a reader that has lost a check; `npm run fuzz` does millions. */
const CASES = 2000;

afterAll(() => {
  plainFiles();
  plainConstructors();
});

describe.each(formats)("$name", (format) => {
  test("what was once read wrongly is read or refused", async () => {
    for (const [name, files] of savedCases(format.name)) {
      expect(await runCase(format, files), name).toBeUndefined();
    }
  });

  test("files that are damaged or made to harm are read or refused", async () => {
    const { findings, accepted } = await fuzz(format, { seed: 1, cases: CASES });
    expect(findings.map(({ message }) => message)).toEqual([]);
    // If all were refused at the door, nothing would have been tried.
    expect(accepted).toBeGreaterThan(CASES / 1000);
  });
});
