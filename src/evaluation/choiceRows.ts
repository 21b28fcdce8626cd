import { jsonType, type Place, placeOf, placeText, type Row } from "../data/rows.js";
import { FacetError } from "../errors.js";

/** A question, as the text before each choice, and its choices. */
export interface ChoiceQuestion {
  /** Ends without white space; a choice follows after one space. */
  readonly context: string;
  readonly choices: readonly string[];
  /** The index of the right choice. */
  readonly answer: number;
  readonly place: Place;
}

/**
 * The question of a row in the format of ARC or of HellaSwag, with the texts that lm-evaluation-harness makes of them, so
 * that scores can be compared with published ones.
 *
 * ARC: `{"question": {"stem", "choices": [{"text", "label"}]}, "answerKey"}`, as AI2 published it, or
 * `{"question", "choices": {"text": […], "label": […]}, "answerKey"}`, as on Hugging Face.
 * HellaSwag: `{"activity_label", "ctx_a", "ctx_b", "endings": […], "label"}`; `ctx` stands for the other three.
 *
 * Throws a FacetError with file and line for a row of neither format, and one whose answer is none of its choices.
 */
export function choiceQuestion(row: Row): ChoiceQuestion {
  const question = Object.hasOwn(row.nonText, "endings") ? hellaSwag(row) : arc(row);
  if (question.choices.length < 2) throw wrong(row, "it has fewer than two choices");
  if (question.choices.some((choice) => choice.trim() === ""))
    throw wrong(row, "a choice is empty");
  if (!(question.answer in question.choices)) {
    throw wrong(row, "its answer is none of its choices");
  }
  return { ...question, place: placeOf(row) };
}

type Parsed = Omit<ChoiceQuestion, "place">;

function arc(row: Row): Parsed {
  const nested = row.nonText.question as { stem?: unknown; choices?: unknown } | undefined;
  const stem = row.fields.question ?? nested?.stem;
  if (typeof stem !== "string") {
    throw wrong(
      row,
      'it has neither "question" and "choices" (ARC) nor "endings" and "label" (HellaSwag)',
    );
  }
  const [choices, labels] = arcChoices(row, row.nonText.choices ?? nested?.choices);
  const key = row.fields.answerKey ?? row.nonText.answerKey;
  return { context: `Question: ${stem}\nAnswer:`, choices, answer: labels.indexOf(String(key)) };
}

/** Texts and labels of either form of ARC's choices. */
function arcChoices(row: Row, value: unknown): [string[], string[]] {
  if (Array.isArray(value)) {
    const parts = value as ({ text?: unknown; label?: unknown } | null)[];
    return [
      texts(
        row,
        parts.map((part) => part?.text),
        "choices",
      ),
      parts.map((part) => String(part?.label)),
    ];
  }
  const { text, label } = (value ?? {}) as { text?: unknown; label?: unknown };
  const choices = texts(row, text, "choices.text");
  if (!Array.isArray(label) || label.length !== choices.length) {
    throw wrong(row, `"choices.label" is not a list of ${choices.length} labels`);
  }
  return [choices, label.map(String)];
}

function hellaSwag(row: Row): Parsed {
  const { ctx, ctx_a: a, ctx_b: b, activity_label: activity } = row.fields;
  // Python's capitalize: the first letter large, all others small.
  const second = b === undefined ? "" : b.slice(0, 1).toUpperCase() + b.slice(1).toLowerCase();
  const text = a === undefined ? ctx : `${a} ${second}`;
  if (text === undefined) throw wrong(row, 'it has neither "ctx" nor "ctx_a"');
  const label = row.fields.label ?? row.nonText.label;
  return {
    context: cleaned(activity === undefined ? text : `${activity}: ${text}`).trimEnd(),
    choices: texts(row, row.nonText.endings, "endings").map(cleaned),
    answer: /^\d+$/.test(String(label)) ? Number(label) : -1,
  };
}

/** HellaSwag's texts hold marks of WikiHow's pages, such as [title], [step] and [substeps]. */
const cleaned = (text: string): string =>
  text
    .trim()
    .replaceAll(" [title]", ". ")
    .replace(/\[.*?\]/g, "")
    .replaceAll("  ", " ");

function texts(row: Row, value: unknown, field: string): string[] {
  if (!Array.isArray(value))
    throw wrong(row, `"${field}" is ${jsonType(value ?? null)}, not a list`);
  for (const text of value) {
    if (typeof text !== "string") {
      throw wrong(row, `"${field}" holds ${jsonType(text ?? null)} where a text is needed`);
    }
  }
  return value as string[];
}

const wrong = (row: Row, what: string) =>
  new FacetError(
    `${placeText(row)}: not a multiple-choice question: ${what}. Use rows in ARC's or HellaSwag's format.`,
  );
