import { describe } from "vitest";
import { referenceGemma } from "../support/referenceGemma.js";
import { matchesReference } from "./matchesReference.js";

const tiny = referenceGemma("gemma2_tiny");

describe("Gemma 2", () => matchesReference(tiny));
