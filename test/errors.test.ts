import { expect, test } from "vitest";
import { unknownName } from "../src/errors.js";

const known = ["facet_nano_en", "gemma_2b_en", "gemma_7b_en"];

test.each([
  ["a typing error", "gema_2b_en", "gemma_2b_en"],
  ["the beginning of a name", "facet_nan", "facet_nano_en"],
])("%s: the nearest name is offered", (_, name, nearest) => {
  expect(unknownName("model", name, known).message).toContain(`Did you mean "${nearest}"?`);
});

test("a name that is like none: all are listed, none is offered", () => {
  const { message } = unknownName("model", "llama", known);
  expect(message).toBe(`Unknown model "llama". Known: ${known.join(", ")}.`);
});
