import { describe, expect, test } from "vitest";
import { largestDifference } from "../support/closeness.js";
import { referenceGemma } from "../support/referenceGemma.js";
import { forward, matchesReference } from "./matchesReference.js";

const tiny = referenceGemma("gemma1_tiny");

describe("Gemma 1", () => matchesReference(tiny));

test("what stands on the right of a token does not change it", async () => {
  const batch = tiny.batch("nopad");
  const before = Int32Array.from({ length: 12 }, (_, i) => i);
  const changed = { ...batch, ids: batch.ids.map((id, place) => (place % 20 < 12 ? id : 7)) };
  const [one, two] = await Promise.all(
    [batch, changed].map((b) => forward(tiny.graph(), b, before)),
  );
  expect(largestDifference(one!.logits, two!.logits)).toBeLessThan(1e-6);
});
