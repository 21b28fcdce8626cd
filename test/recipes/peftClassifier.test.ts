import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { makeBatch } from "../../src/data/batches.js";
import { openModel } from "../../src/hub/openModel.js";
import { openSession } from "../../src/runtime/session.js";
import { classifierInputs } from "../../src/training/classification.js";
import { relativeError } from "../support/closeness.js";
import { fixture } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

/** Written by test/fixtures/gemma1_tiny/make_seq_cls.py. */
const expected = JSON.parse(readFileSync(fixture("gemma1_tiny/peft_seq_cls.json"), "utf8")) as {
  rows: number[][];
  logits: number[][];
};

test("a classifier that PEFT saved gives the logits of Transformers and PEFT", async () => {
  const adapter = await loadAdapter(fixture("gemma1_tiny/peft_seq_cls"), tiny.modules);
  expect(adapter.labels).toEqual(["0", "1", "2"]);
  const model = await openModel(fixture("gemma1_tiny"));
  const session = openSession(model, tiny.engine, adapter);
  const examples = expected.rows.map((ids) => ({
    ...{ ids: Int32Array.from([...ids, 1]), line: 1, truncated: 0 },
    isTarget: Uint8Array.from([0, ...ids.map(() => 1)]),
  }));
  const batch = makeBatch(examples, examples.keys(), 0);
  const program = await session.classifier(32);
  const { logits } = await program.run({ ...classifierInputs(batch), ...session.parameters });
  await session.close();
  expect(relativeError(logits!.data, expected.logits.flat())).toBeLessThan(1e-5);
});
