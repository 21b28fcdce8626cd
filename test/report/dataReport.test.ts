import { describe, expect, test } from "vitest";
import { renderDataReport } from "../../src/report/dataReport.js";

const data = {
  title: "Data: <rows>.jsonl",
  model: "tiny",
  created: "2026-11-25T22:00:00Z",
  facts: [{ label: "Rows", value: "3" }],
  warnings: [
    {
      message: 'equal to an earlier row: "a" & <b>',
      count: 20,
      places: ["x.jsonl line 2", "x.jsonl line 3"],
    },
    { message: "few targets", count: 0, places: [] },
  ],
  histogram: [
    { from: 1, to: 16, count: 1 },
    { from: 17, to: 32, count: 0 },
    { from: 33, to: 64, count: 4000 },
  ],
  examples: [
    {
      heading: "x.jsonl line 1: 4 tokens",
      tokens: [
        { id: 2, piece: "<bos>", target: false },
        { id: 9, piece: "▁a<script>", target: false },
        { id: 10, piece: "\n", target: true },
        { id: 1, piece: "<eos>", target: true },
      ],
    },
  ],
};

describe("the report about data", () => {
  const html = renderDataReport(data);

  test("marks targets, and shows spaces and line breaks as such", () => {
    expect(html).toContain('<span title="2" class="control">&lt;bos&gt;</span>');
    expect(html).toContain('<span title="9"> a&lt;script&gt;</span>');
    expect(html).toContain(
      '<mark title="10">⏎\n</mark><mark title="1" class="control">&lt;eos&gt;</mark>',
    );
  });

  test("says how many rows a warning is about, and where the first are", () => {
    expect(html).toContain(
      "<tr><td>20 rows</td><td>equal to an earlier row: &quot;a&quot; &amp; &lt;b&gt;<small>x.jsonl line 2, x.jsonl line 3, …</small></td></tr>",
    );
    expect(html).toContain("<tr><td>all rows</td><td>few targets</td></tr>");
    expect(renderDataReport({ ...data, warnings: [] })).toContain("<p>Nothing was found.</p>");
  });

  test("draws a bar for each length that occurs", () => {
    expect(html).toContain(
      '<span class="label">33–64</span><span class="bar" style="width: 100.00%"></span><span>4,000</span>',
    );
    expect(html).toContain(
      '<span class="label">17–32</span><span class="bar" style="visibility: hidden"></span><span>0</span>',
    );
  });

  test("needs nothing else and runs nothing", () => {
    expect(html).not.toMatch(/<script|<link|<img|url\(|https?:/i);
    expect(html).toContain("default-src 'none'");
    expect(html).toContain('<h1 dir="auto">Data: &lt;rows&gt;.jsonl</h1>');
  });
});
