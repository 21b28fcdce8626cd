import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorText } from "../../src/cli/errorText.js";
import { FacetError } from "../../src/errors.js";

describe("errorText", () => {
  it("is the message alone for an error that the user can act on", () => {
    expect(errorText(new FacetError("Do this instead."))).toBe("Do this instead.");
  });

  it("has no escape sequences of a file's names, and an end", () => {
    const name = "\u001b]0;gotcha\u0007\u009b31m";
    expect(errorText(new FacetError(`tensor "${name}"\n\tis`))).toBe(
      'tensor "\uFFFD]0;gotcha\uFFFD\uFFFD31m"\n\tis',
    );
    expect(errorText(new FacetError("x".repeat(1e6))).length).toBeLessThan(20_000);
  });

  it("names the file when the system refuses", () => {
    let error: unknown;
    try {
      readFileSync("/no/such/file");
    } catch (caught) {
      error = caught;
    }
    expect(errorText(error)).toMatch(/^The system refused: ENOENT.*\/no\/such\/file'\.$/);
  });

  it("calls anything else a bug and shows where it happened", () => {
    const text = errorText(new TypeError("x is undefined"));
    expect(text).toMatch(/^x is undefined\nThis is a bug in Facet/);
    expect(text).toContain("errorText.test.ts");
    expect(errorText("thrown text")).toContain("thrown text");
  });
});
