import { describe, expect, it } from "vitest";
import { rowOf } from "../../src/data/rows.js";
import { FacetError } from "../../src/errors.js";
import { choiceQuestion } from "../../src/evaluation/choiceRows.js";

const place = { file: "task.jsonl", line: 7 };
const question = (value: object) => choiceQuestion(rowOf(value, place));

describe("choiceQuestion", () => {
  const expected = {
    context: "Question: What melts?\nAnswer:",
    choices: ["Stone", "Ice"],
    answer: 1,
    place,
  };

  it("reads ARC as AI2 published it", () => {
    const choices = [
      { text: "Stone", label: "A" },
      { text: "Ice", label: "B" },
    ];
    const row = { id: "1", question: { stem: "What melts?", choices }, answerKey: "B" };
    expect(question(row)).toEqual(expected);
  });

  it.each([
    [["A", "B"], "B"],
    [["1", "2"], "2"],
    [[1, 2], 2],
  ])("reads ARC as Hugging Face has it, with labels %j", (label, answerKey) => {
    const choices = { text: ["Stone", "Ice"], label };
    expect(question({ question: "What melts?", choices, answerKey })).toEqual(expected);
  });

  it("reads HellaSwag, cleaned as lm-evaluation-harness does", () => {
    const row = {
      activity_label: "Baking cookies",
      ctx_a: "A tray is shown.",
      ctx_b: "the Tray",
      ctx: "A tray is shown. the Tray",
      endings: ["[substeps] is put into the oven.", "flies [title] away."],
      label: "1",
    };
    expect(question(row)).toEqual({
      context: "Baking cookies: A tray is shown. The tray",
      choices: [" is put into the oven.", "flies. away."],
      answer: 1,
      place,
    });
  });

  it("takes HellaSwag's whole context where its parts are not there, and a label that is a number", () => {
    const row = { ctx: "A tray ", endings: ["falls.", "sings."], label: 0 };
    expect(question(row)).toMatchObject({ context: "A tray", answer: 0 });
  });

  const arc = {
    question: "What melts?",
    choices: { text: ["Stone", "Ice"], label: ["A", "B"] },
    answerKey: "B",
  };
  const swag = { ctx: "A tray", endings: ["falls.", "sings."], label: "0" };
  it.each([
    [{ text: "What melts?" }, 'neither "question"'],
    [{ ...arc, answerKey: "C" }, "answer is none of its choices"],
    [{ ...arc, answerKey: undefined }, "answer is none of its choices"],
    [{ ...arc, choices: { text: ["Ice"], label: ["B"] } }, "fewer than two choices"],
    [{ ...arc, choices: { text: ["Stone", "Ice"], label: ["A"] } }, "not a list of 2 labels"],
    [{ ...arc, choices: { text: ["Stone", 3], label: ["A", "B"] } }, "holds a number"],
    [{ ...arc, choices: "Stone" }, '"choices.text" is null, not a list'],
    [{ ...arc, choices: [null, { text: "Ice", label: "B" }] }, "holds null"],
    [{ ...swag, label: "" }, "answer is none of its choices"],
    [{ ...swag, label: "2" }, "answer is none of its choices"],
    [{ ...swag, label: -1 }, "answer is none of its choices"],
    [{ ...swag, endings: ["falls.", "[header]"] }, "a choice is empty"],
    [{ ...swag, endings: [["falls."], "sings."] }, "holds a list"],
    [{ endings: ["falls.", "sings."], label: "0" }, 'neither "ctx" nor "ctx_a"'],
  ])("refuses %j", (row, message) => {
    expect(() => question(row)).toThrow(FacetError);
    expect(() => question(row)).toThrow("task.jsonl, line 7: ");
    expect(() => question(row)).toThrow(message);
  });
});
