import { describe } from "vitest";
import { referenceGemma } from "../support/referenceGemma.js";
import { matchesReference } from "./matchesReference.js";

const tiny = referenceGemma("gemma3_tiny");

describe("Gemma 3", () => matchesReference(tiny));
