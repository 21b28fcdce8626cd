import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import {
  excerpt,
  parseStrictJson,
  readJsonObject,
  readStrictJson,
} from "../../src/formats/strictJson.js";
import { temporaryFolder } from "../support/modelFolder.js";

describe("parseStrictJson", () => {
  it("gives what JSON.parse gives for every value, however it is laid out", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 3 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseStrictJson(text, "file")).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['{"a":1,"a":2}', "a"],
    ['{"x":[{"b":1 , "b" : 2}]}', "b"],
    ['{"\\"}":1,"\\"}":2}', '\\"}'],
    ['{"a":1,"\\u0061":2}', "a"],
    ['{"a":{"c":1},"b":{"c":1},"a":0}', "a"],
  ])("refuses the repeated key in %s", (text, key) => {
    expect(() => parseStrictJson(text, "file.json")).toThrow(FacetError);
    expect(() => parseStrictJson(text, "file.json")).toThrow(
      `file.json: the key "${key}" occurs twice`,
    );
  });

  it("lets one key occur in several objects, and values look like keys", () => {
    const text = '{"a":{"a":"a"},"b":["a","a",{"a":":"}],"c":"{\\"c\\":1,\\"c\\":2}"}';
    expect(parseStrictJson(text, "file")).toEqual(JSON.parse(text));
  });

  it("says where a text is not JSON", () => {
    expect(() => parseStrictJson("{", "file.json")).toThrow(/^file\.json: not valid JSON/);
  });
});

describe("an excerpt of a value for a message", () => {
  it("is its JSON, cut when it is long", () => {
    expect(excerpt({ a: [1, "x"] })).toBe('{"a":[1,"x"]}');
    expect(excerpt(undefined)).toBe("undefined");
    expect(excerpt("x".repeat(1e6)).length).toBeLessThan(300);
  });

  it("exists where JSON.stringify fails", () => {
    expect(excerpt([1n, 2n ** 64n - 1n])).toBe('["1","18446744073709551615"]');
    const depth = 100_000;
    expect(excerpt(JSON.parse("[".repeat(depth) + "]".repeat(depth)))).toMatch(/deeply nested/);
  });
});

describe("a file of JSON", () => {
  it("is refused when no file of a model is as large, before it is read", () => {
    const path = join(temporaryFolder(), "large.json");
    writeFileSync(path, "{}");
    truncateSync(path, 2 ** 32);
    expect(() => readStrictJson(path)).toThrow(FacetError);
    expect(() => readStrictJson(path)).toThrow(/has 4294967296 bytes/);
  });

  it("that should be an object must be one", () => {
    const path = join(temporaryFolder(), "null.json");
    writeFileSync(path, "null");
    expect(readStrictJson(path)).toBeNull();
    expect(() => readJsonObject(path)).toThrow(/null.json: not a JSON object/);
  });
});
