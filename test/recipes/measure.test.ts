import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openModel } from "../../src/hub/openModel.js";
import { answerPrompts } from "../../src/recipes/answerPrompts.js";
import { choiceExample, choiceScores, openChoiceTask } from "../../src/recipes/choiceTask.js";
import type { AnswerPrompt } from "../../src/recipes/evaluationSet.js";
import { measure } from "../../src/recipes/measure.js";
import { openSession, requireTokenizer } from "../../src/runtime/session.js";
import { generateTexts } from "../../src/runtime/text.js";
import { evaluate } from "../../src/training/evaluate.js";
import { scoreRows } from "../../src/training/scoreRows.js";
import { evaluationBatches } from "../../src/training/sources.js";
import { logProbabilities } from "../support/logProbabilities.js";
import { tinyModelFolder } from "../support/modelFolder.js";
import { engine } from "../support/tinyGemma.js";

async function opened() {
  const model = await openModel(tinyModelFolder());
  return { model, tokenizer: requireTokenizer(model), session: openSession(model, engine) };
}

const questions = [
  {
    question: "What melts?",
    choices: { text: ["Stone", "Ice"], label: ["A", "B"] },
    answerKey: "B",
  },
  { ctx: "A dog", endings: ["barks loudly.", "reads.", "is a cat."], label: "0" },
];

async function openQuestions(length: number) {
  const all = await opened();
  const path = join(all.model.folder, "questions.jsonl");
  writeFileSync(path, questions.map((row) => JSON.stringify(row)).join("\n"));
  return { ...all, task: await openChoiceTask(path, all.model, length) };
}

const watch = <T>(_: string, items: readonly T[]) => items;

describe("choice scores", () => {
  it("are the log-probabilities of the choices' tokens, from the logits of the whole text", async () => {
    const { session, task, tokenizer } = await openQuestions(64);
    const batches = evaluationBatches(task.examples, 2, tokenizer.padId);
    const program = await session.evaluation(64);
    const scores = choiceScores(task, await scoreRows(program, session.parameters, batches));
    for (const [q, { context, choices, answer }] of task.questions.entries()) {
      expect(scores[q]!.answer).toBe(answer);
      for (const [c, choice] of choices.entries()) {
        const ids = [tokenizer.bosId, ...tokenizer.encode(`${context} ${choice}`)];
        const prompt = tokenizer.encode(context).length;
        const rows = await logProbabilities(session, ids);
        let expected = 0;
        for (let i = prompt + 1; i < ids.length; i++) expected += rows[i - 1]![ids[i]!]!;
        expect(scores[q]!.logProbabilities[c]).toBeCloseTo(expected, 3);
        expect(scores[q]!.lengths[c]).toBe(choice.length);
      }
    }
    await session.close();
  });
});

describe("choiceExample", () => {
  const place = { file: "q.jsonl", line: 3 };

  it("cuts a context that is too long from its left, and refuses a choice that does not fit", async () => {
    const { tokenizer } = await opened();
    const context = "Question: What is one and one and one?\nAnswer:";
    const whole = choiceExample({ context, place }, "three", tokenizer, 64);
    const targets = whole.isTarget.reduce((sum, flag) => sum + flag, 0);
    const cut = choiceExample({ context, place }, "three", tokenizer, targets + 2);
    expect([...cut.ids]).toEqual([tokenizer.bosId, ...whole.ids.slice(-targets - 2)]);
    expect([...cut.isTarget]).toEqual([0, 0, 0, ...Array(targets).fill(1)]);
    expect(() => choiceExample({ context, place }, "three", tokenizer, targets - 1)).toThrow(
      "q.jsonl, line 3: a choice of",
    );
  });
});

describe("scoreRows", () => {
  it("sums to what evaluate gives, row by row", async () => {
    const { session, task, tokenizer } = await openQuestions(64);
    const program = await session.evaluation(64);
    const batches = [...evaluationBatches(task.examples, 3, tokenizer.padId)];
    const rows = await scoreRows(program, session.parameters, batches);
    const whole = await evaluate(program, session.parameters, batches);
    const sum = (key: "loss" | "correct" | "tokens") => rows.reduce((s, row) => s + row[key], 0);
    expect(sum("tokens")).toBe(whole.target_tokens);
    expect(sum("loss") / sum("tokens")).toBeCloseTo(whole.loss, 5);
    expect(sum("correct") / sum("tokens")).toBeCloseTo(whole.accuracy, 6);
    expect(rows.map(({ row }) => row).sort()).toEqual([0, 1, 2, 3, 4]);
    await session.close();
  });
});

describe("answerPrompts", () => {
  it("gives what generation gives to each prompt alone, cut to the answer's length", async () => {
    const { session, tokenizer, model } = await opened();
    const texts = ["The sea", "What is one and one and one and one?", "Why"];
    const prompts = texts.map((prompt): AnswerPrompt => {
      const ids = [tokenizer.bosId, ...tokenizer.encode(prompt)];
      return { prompt, ids, reference: "x", referenceTokens: 2, file: "f", line: 1 };
    });
    const answers = await answerPrompts(session, prompts, { answerLength: 7, batchSize: 2 }, watch);
    for (const [i, { ids }] of prompts.entries()) {
      const maxLength = Math.min(ids.length + 7, model.config.maxPositions);
      const [alone] = await generateTexts(session, [texts[i]!], { maxLength });
      const { completion, finish, newTokens } = alone!;
      expect(answers[i]).toEqual({
        ...{ reference: "x", referenceTokens: 2 },
        ...{ text: completion.trim(), finish, tokens: newTokens },
      });
    }
    await session.close();
  });
});

describe("measure", () => {
  it("puts the metrics of each task after those of the rows, under its name", async () => {
    const { session, task } = await openQuestions(64);
    const set = { dataset: undefined, prompts: [], tasks: [task, { ...task, name: "again" }] };
    const options = { sequenceLength: 64, batchSize: 4, answerLength: 8 };
    const [measured] = await measure(session, [undefined], set, options);
    expect(measured!.groups.map(({ task }) => task)).toEqual(["questions", "again"]);
    expect(measured!.groups[0]!.columns.map(({ metric }) => metric.key)).toEqual([
      "acc",
      "acc_norm",
    ]);
    await session.close();
  });
});
