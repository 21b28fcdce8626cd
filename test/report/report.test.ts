import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { type ReportData, renderReport } from "../../src/report/report.js";
import { parseMarkup } from "./markup.js";

const data: ReportData = {
  title: "Answers in the style of Dolly",
  model: "google/gemma-3-270m-it",
  created: "2026-03-04T23:05:09.123-02:00",
  facts: [
    { label: "Adapter rank", value: "8" },
    { label: "Trainable parameters", value: "737,280" },
    { label: "Data", value: "data/dolly & more.jsonl" },
  ],
  curve: [1, 2, 3].map((step) => ({ step, loss: 4 - step })),
  validation: [{ step: 3, loss: 1.5 }],
  heldOut: { before: { loss: 3, accuracy: 0.25 }, after: { loss: 2, accuracy: 0.5 } },
  samples: [
    {
      prompt: "What is a facet?",
      before: "What is a facet?",
      after: "A cut:\n\n  1. flat\n\t2. small",
    },
    { prompt: "And a gem?", before: "", after: "A stone." },
  ],
  command: 'facet chat runs/dolly --prompt "Hi"',
};

const hostile = `</script></style></title><img src=x onerror="alert(1)"><!-- ' & &lt; ]]>`;

const all = (html: string, name: string) =>
  parseMarkup(html).filter((element) => element.name === name);

const texts = (html: string, name: string) => all(html, name).map(({ text }) => text);

const blocks = (html: string) =>
  all(html, "div")
    .filter(({ attributes }) => attributes.class?.startsWith("text"))
    .map(({ text }) => text);

describe("the document", () => {
  const html = renderReport(data);

  test("is well-formed, with a language, a character set and a width for phones", () => {
    expect(html.startsWith("<!DOCTYPE html>")).toBe(true);
    expect(all(html, "html")[0]!.attributes.lang).toBe("en");
    expect(all(html, "meta").map(({ attributes }) => attributes)).toEqual(
      expect.arrayContaining([
        { charset: "utf-8" },
        { name: "viewport", content: "width=device-width, initial-scale=1" },
      ]),
    );
  });

  test("needs nothing from elsewhere, runs nothing, and forbids both", () => {
    expect(html).not.toMatch(/<(script|link|img|iframe|object|embed|form)\b/i);
    expect(html).not.toMatch(/\b(src|href|on\w+)=|url\(|@import/i);
    expect(html).toContain("default-src 'none'; style-src 'unsafe-inline'");
  });

  test("has colours for light and for dark screens, and rules for paper and narrow screens", () => {
    expect(html).toContain("@media screen and (prefers-color-scheme: dark)");
    expect(html).toContain("@media print");
    expect(html).toMatch(/@media \(max-width: \d+rem\)/);
  });

  test("has no two equal ids", () => {
    const ids = parseMarkup(html).flatMap(({ attributes }) => attributes.id ?? []);
    expect(ids).toHaveLength(4);
    expect(new Set(ids).size).toBe(4);
  });

  test("is the same for the same data", () => {
    expect(renderReport(structuredClone(data))).toBe(html);
  });
});

describe("its content", () => {
  const html = renderReport(data);

  test("title, model and date, in UTC", () => {
    expect(texts(html, "title")[0]).toBe(data.title);
    expect(texts(html, "h1")).toEqual([data.title]);
    expect(texts(html, "header")[0]).toContain(data.model);
    expect(all(html, "time")[0]).toMatchObject({
      text: "2026-03-05 01:05 UTC",
      attributes: { datetime: "2026-03-05T01:05:09.123Z" },
    });
  });

  test("every fact, in order", () => {
    expect(texts(html, "dt")).toEqual(data.facts.map(({ label }) => label));
    expect(texts(html, "dd")).toEqual(data.facts.map(({ value }) => value));
  });

  test("every sample, with its white space, and a word where the model wrote nothing", () => {
    expect(blocks(html)).toEqual([
      ...Object.values(data.samples[0]!),
      "And a gem?",
      "(nothing)",
      "A stone.",
    ]);
    expect(html).toMatch(/\.text \{[^}]*white-space: pre-wrap/);
  });

  test("the curve once for wide and once for narrow pages", () => {
    expect(all(html, "svg").map(({ attributes }) => attributes.width)).toEqual(["800", "326"]);
    expect(texts(html, "desc")[0]).toContain("One validation loss: 1.5 at step 3.");
  });

  test("the held-out scores and the next command", () => {
    expect(texts(html, "section").join()).toContain("1.000 lower (better)");
    expect(texts(html, "code")).toEqual([data.command]);
  });

  test("nothing but the loss section for a run without anything", () => {
    const { title, model, created } = data;
    const bare = renderReport({
      title,
      model,
      created,
      facts: [],
      curve: [],
      validation: [],
      samples: [],
    });
    expect(texts(bare, "h2")).toEqual(["Training loss"]);
    expect(texts(bare, "section")[0]).toContain("No loss was reported.");
    expect(all(bare, "svg")).toEqual([]);
  });
});

describe("text from models and users", () => {
  const sample = { prompt: hostile, before: hostile, after: hostile };
  const html = renderReport({
    ...data,
    title: hostile,
    model: hostile,
    facts: [{ label: hostile, value: hostile }],
    samples: [sample],
    command: hostile,
  });

  test("is shown as it is, and is never markup", () => {
    expect(blocks(html)).toEqual([hostile, hostile, hostile]);
    for (const name of ["title", "h1", "dt", "dd", "code"]) {
      expect(texts(html, name)[0]).toBe(hostile);
    }
    expect(texts(html, "header")[0]).toContain(hostile);
    expect(html).not.toContain("<img");
    expect(html).not.toContain("</script");
    expect(html.match(/<\/style>/g)).toHaveLength(1);
  });

  test("cannot change the elements of the page, whatever it is", () => {
    const harmless = { prompt: "a", before: "a", after: "a" };
    const names = (samples: ReportData["samples"]) =>
      parseMarkup(renderReport({ ...data, samples })).map(({ name }) => name);
    const expected = names([harmless]);
    const piece = fc.oneof(
      fc.string({ unit: "binary", minLength: 1 }),
      fc.constantFrom("<", ">", "&", '"', "'", "-->", "</div>", "\0", "\r\n", "<svg onload=x>"),
    );
    const text = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(fc.record({ prompt: text, before: text, after: text }), (any) => {
        expect(names([any])).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test("decides its own direction of writing", () => {
    const arabic = renderReport({
      ...data,
      samples: [{ prompt: "البحر", before: "x", after: "y" }],
    });
    expect(arabic).toContain('<div class="text" dir="auto">البحر</div>');
  });
});

test("a date that is none is refused", () => {
  expect(() => renderReport({ ...data, created: "yesterday" })).toThrow(FacetError);
  expect(() => renderReport({ ...data, created: "yesterday" })).toThrow('"yesterday"');
});
