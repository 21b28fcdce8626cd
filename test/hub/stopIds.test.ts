import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/hub/openModel.js";
import { readStopIds } from "../../src/hub/stopIds.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import { tokenizerOf } from "../tokenizers/fixtures.js";

const tokenizer = tokenizerOf("tok4096");

describe("readStopIds", () => {
  test.each<[unknown, number[]]>([
    [undefined, [1, 107]],
    [{ eos_token_id: 1 }, [1, 107]],
    [{ eos_token_id: [1, 50] }, [1, 50, 107]],
    [{ eos_token_id: 107, temperature: 0.7 }, [1, 107]],
    [{ eos_token_id: null }, [1, 107]],
  ])("generation_config.json %j", (content, stops) => {
    const folder = temporaryFolder();
    if (content !== undefined) {
      writeFileSync(join(folder, "generation_config.json"), JSON.stringify(content));
    }
    expect(readStopIds(folder, tokenizer)).toEqual(stops);
  });

  test("names the file that is damaged", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "generation_config.json"), '{"eos_token_id": "two"}');
    expect(() => readStopIds(folder, tokenizer)).toThrow(/generation_config\.json.*eos_token_id/s);
  });

  test("a model without a tokenizer has none", async () => {
    expect((await openModel(tinyModelFolder({ tokenizer: false }))).stopIds).toEqual([]);
  });
});
