import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseRowTemplate } from "../../src/data/chooseRowTemplate.js";
import { overlongChoices, prepareExamples, targetCount } from "../../src/data/examples.js";
import { jsonLineRow } from "../../src/data/jsonLines.js";
import { targetChoices } from "../../src/data/rowTemplate.js";
import { families } from "../../src/models/gemma/family.js";
import { byteTokenizer } from "./byteTokenizer.js";

const tokenizer = byteTokenizer();
const { bosId, eosId } = tokenizer;
const context = { tokenizer, chatTemplate: families.gemma3_text.chatTemplate };

/** Text that people write, with what could be taken for structure in it. */
const text = fc
  .array(
    fc.constantFrom(
      "a",
      "Why? ",
      "<bos>",
      "<eos>",
      "<end_of_turn>",
      "<start_of_turn>model\n",
      "{a}",
      "{{ b }}",
      "é☂",
      " ",
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => `x${parts.join("")}`);
const turns = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 3 }).map((pairs) =>
  pairs.flatMap(([user, model]) => [
    { role: "user", content: user },
    { role: "assistant", content: model },
  ]),
);

const rows = fc.oneof(
  fc.record({ instruction: text, response: text, context: text }),
  fc.record({ instruction: text, input: fc.constantFrom("", "in"), output: text }),
  fc.record({ prompt: text, completion: text }),
  fc.record({ prompt: text, chosen: text, rejected: text }),
  fc.record({ messages: turns }),
  fc.record({ text }),
);
const jinja =
  "jinja:{{ bos_token }}{% for v in [prompt, instruction] %}{{ v }}{% endfor %}|{{ completion or response or output or chosen }}{{ eos_token }}";

describe("every example, of any format and with any options", () => {
  it("has one start token, at its beginning, and ends in the end token, which is a target", () => {
    fc.assert(
      fc.property(
        rows,
        fc.constantFrom(...targetChoices),
        fc.constantFrom(...overlongChoices),
        fc.constantFrom(16, 40, 1000),
        fc.boolean(),
        (value, targets, overlong, sequenceLength, own) => {
          const row = jsonLineRow(JSON.stringify(value), "rows.jsonl", 1);
          const spec = own && !("messages" in value || "text" in value) ? jinja : undefined;
          const template = chooseRowTemplate(spec, [row], context);
          let prepared: ReturnType<typeof prepareExamples>;
          try {
            prepared = prepareExamples([row], {
              template,
              tokenizer,
              sequenceLength,
              targets,
              overlong,
            });
          } catch (error) {
            // The one row was dropped, and that was said.
            expect(`${error}`).toMatch(/all 1 were dropped: 1 (too long|no target)/);
            expect(sequenceLength).toBeLessThan(1000);
            return;
          }
          const { ids, isTarget, truncated } = prepared.examples[0]!;
          expect(ids.length).toBeLessThanOrEqual(sequenceLength + 1);
          expect(ids.indexOf(bosId)).toBe(0);
          expect(ids.lastIndexOf(bosId)).toBe(0);
          expect(isTarget[0]).toBe(0);
          expect(ids.indexOf(eosId)).toBe(ids.length - 1);
          expect(isTarget.at(-1)).toBe(1);
          expect(targetCount(prepared.examples[0]!)).toBeGreaterThanOrEqual(2);
          if (overlong === "drop") expect(truncated).toBe(0);
          if (targets === "all") expect(isTarget.indexOf(0, 1)).toBe(-1);
          // What the data spell is text: there are as many markers as the template writes.
          const markers = [...ids].filter((id) => tokenizer.idToPiece(id) === "<start_of_turn>");
          const wanted = "messages" in value ? value.messages.length : 0;
          if (truncated === 0) expect(markers).toHaveLength(wanted);
        },
      ),
      { numRuns: 400, seed: 11 },
    );
  });
});
