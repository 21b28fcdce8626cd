import { describe, expect, test } from "vitest";
import {
  type EvaluationReportData,
  renderEvaluationReport,
} from "../../src/report/evaluationReport.js";
import { parseMarkup } from "./markup.js";

const data: EvaluationReportData = {
  title: "Comparison on gemma_2b_en",
  model: "gemma_2b_en",
  created: "2026-03-04T23:05:09Z",
  intervalName: "95 % interval",
  verdicts: [{ name: "runs/a", sentences: ["Worse: Accuracy fell by 3.0 points."] }],
  metrics: [
    {
      label: "Loss",
      meaning: "nats per token",
      values: [
        { name: "gemma_2b_en", value: 2.5, interval: [2, 3], shown: "2.5000" },
        { name: "runs/a", value: 2, interval: [1.75, 2.25], shown: "2.0000" },
      ],
      changes: [{ text: "-0.5000 (-0.6 to -0.4)", verdict: "better" }],
    },
  ],
  lengths: {
    buckets: ["1–16", "17–32"],
    series: [
      { name: "the rows' own", counts: [3, 1] },
      { name: "runs/a", counts: [0, 4] },
    ],
  },
  pairs: [
    {
      name: "runs/a",
      losses: [
        [1, 2],
        [2, 1],
        [3, 1],
      ],
    },
  ],
  answers: [
    {
      prompt: "Why?",
      texts: [
        { name: "The row's own", text: "Because." },
        { name: "gemma_2b_en", text: "" },
        { name: "runs/a", text: "So." },
      ],
    },
  ],
  facts: [{ label: "Data", value: "40 rows" }],
};

const all = (html: string, name: string) =>
  parseMarkup(html).filter((element) => element.name === name);
const texts = (html: string, name: string) => all(html, name).map(({ text }) => text);

describe("renderEvaluationReport", () => {
  const html = renderEvaluationReport(data);

  test("says what got worse, and has every number, interval and answer", () => {
    expect(texts(html, "li")).toEqual(["Worse: Accuracy fell by 3.0 points."]);
    expect(texts(html, "td")).toEqual([
      "2.5000",
      "2.0000",
      "-0.5000 (-0.6 to -0.4)better",
      "Because.",
      "(nothing)",
      "So.",
    ]);
  });

  test("draws each plot for wide and narrow pages, with ids of their own", () => {
    const drawn = all(html, "svg").map(({ attributes }) => Number(attributes.width));
    expect(drawn).toEqual([800, 326, 800, 326, 800, 326]);
    const ids = parseMarkup(html).flatMap(({ attributes }) => attributes.id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("places dots and strokes of an interval in order, within the plot", () => {
    const circles = all(html, "circle").slice(0, 2);
    const [base, other] = circles.map(({ attributes }) => Number(attributes.cx));
    expect(other).toBeLessThan(base!);
    const strokes = all(html, "path").filter(
      ({ attributes }) => attributes["stroke-width"] === "3",
    );
    const [, from, to] = /M([\d.]+),[\d.]+H([\d.]+)/.exec(strokes[0]!.attributes.d!)!.map(Number);
    expect(from).toBeLessThan(base!);
    expect(to).toBeGreaterThan(base!);
    expect(to).toBeLessThan(800);
  });

  test("counts the rows on either side of the diagonal", () => {
    expect(texts(html, "desc")).toContain("3 rows; 2 lie below the diagonal.");
  });

  test("shows any text as it is, and cannot be made to do anything", () => {
    const hostile = `</script></style></title><img src=x onerror="alert(1)"> & '`;
    const swapped = JSON.parse(
      JSON.stringify(data, (_, value) => (typeof value === "string" ? hostile : value)),
    ) as EvaluationReportData;
    const page = renderEvaluationReport({ ...swapped, created: data.created });
    expect(all(page, "img")).toEqual([]);
    expect(texts(page, "h1")).toEqual([hostile]);
  });

  test("leaves out what there is nothing for", () => {
    const bare = { ...data, verdicts: [], pairs: [], answers: [], facts: [] };
    const { lengths: _, ...rest } = bare;
    expect(texts(renderEvaluationReport(rest), "h2")).toEqual(["Metrics", "Intervals"]);
  });

  test("draws what can be drawn of values that are not finite", () => {
    const metric = data.metrics[0]!;
    const values = [
      {
        name: "a",
        value: Number.POSITIVE_INFINITY,
        interval: [1, Number.POSITIVE_INFINITY] as const,
        shown: "infinite",
      },
      { name: "b", value: 3, interval: undefined, shown: "3.0" },
    ];
    const page = renderEvaluationReport({
      ...data,
      metrics: [{ ...metric, values }],
      pairs: [{ name: "b", losses: [[Number.NaN, 1]] }],
    });
    expect(page).not.toContain("NaN");
    expect(page).not.toContain("Infinity");
    expect(all(page, "circle")).toHaveLength(2);
    expect(texts(page, "text")).toContain("loss per token of the base (1 not finite)");
  });
});
