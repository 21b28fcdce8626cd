import { describe, expect, test } from "vitest";
import { renderSweepReport, type SweepReportData } from "../../src/report/sweepReport.js";
import { type PlottedValue, valuePlot } from "../../src/report/valuePlot.js";
import { parseMarkup } from "./markup.js";

const named = (html: string, name: string) =>
  parseMarkup(html).filter((element) => element.name === name);
const options = { width: 800, id: "p", scale: "linear", x: "rank", y: "loss" } as const;
const points = (...of: [number | string, number][]): PlottedValue[] =>
  of.map(([x, y], i) => ({ x, y, isBest: i === 0 }));
const places = (html: string) =>
  named(html, "circle").map(({ attributes }) => [Number(attributes.cx), Number(attributes.cy)]);

describe("valuePlot", () => {
  test("puts larger values to the right, and larger losses higher", () => {
    const [a, b, c] = places(valuePlot("t", points([1, 3], [2, 2], [4, 1]), options));
    expect(b![0]! - a![0]!).toBeCloseTo((c![0]! - b![0]!) / 2, 0);
    expect(a![1]).toBeLessThan(b![1]!);
    expect(b![1]).toBeLessThan(c![1]!);
  });

  test("gives equal ratios equal room on a logarithmic axis", () => {
    const log = { ...options, scale: "log" } as const;
    const [a, b, c] = places(valuePlot("t", points([1e-5, 3], [1e-4, 2], [1e-3, 1]), log));
    expect(b![0]! - a![0]!).toBeCloseTo(c![0]! - b![0]!, 0);
  });

  test("puts texts side by side, and names each", () => {
    const html = valuePlot("t", points(["linear", 3], ["cosine", 2], ["linear", 1]), options);
    const [a, b, c] = places(html);
    expect(a![0]).toBe(c![0]);
    expect(a![0]).toBeLessThan(b![0]!);
    const texts = named(html, "text").map(({ text }) => text);
    expect(texts).toEqual(expect.arrayContaining(["linear", "cosine"]));
  });

  test("joins the points of a group in the order of their values", () => {
    const grouped = [
      ...[30, 10].map((x) => ({ x, y: 1 / x, group: "1", isBest: false })),
      { x: 10, y: 2, group: "2", isBest: false },
    ];
    const lines = named(valuePlot("t", grouped, options), "path").filter(
      ({ attributes }) => attributes["stroke-opacity"] === "0.35",
    );
    expect(lines).toHaveLength(1);
    const [, from, to] = /^M([\d.]+),[\d.]+L([\d.]+),/.exec(lines[0]!.attributes.d!)!.map(Number);
    expect(from).toBeLessThan(to!);
  });

  test("leaves out what is not finite, and draws a single run or none", () => {
    const html = valuePlot("t", points([1, 2], [2, Number.NaN], [3, Infinity]), options);
    expect(places(html)).toHaveLength(1);
    expect(html).not.toMatch(/NaN|Infinity/);
    expect(named(valuePlot("t", [], options), "desc")[0]!.text).toBe("0 runs.");
  });
});

describe("renderSweepReport", () => {
  const data: SweepReportData = {
    ...{ title: "Sweep over rank", model: "m", created: "2026-03-04T23:05:09Z", goal: "loss" },
    columns: ["Run", "rank", "loss"],
    rows: [
      ["2", "4", "1.5000"],
      ["1", "2", "failed"],
    ],
    plots: [{ heading: "By rank", scale: "linear", x: "rank", points: points([4, 1.5]) }],
    facts: [{ label: "Method", value: "grid" }],
  };

  test("has a row for each run, and each plot for wide and narrow pages", () => {
    const html = renderSweepReport(data);
    expect(named(html, "td").map(({ text }) => text)).toEqual(["4", "1.5000", "2", "failed"]);
    expect(named(html, "svg").map(({ attributes }) => attributes.width)).toEqual(["800", "326"]);
  });

  test("shows any text as it is", () => {
    const hostile = `</style><img src=x onerror="alert(1)">`;
    const html = renderSweepReport({
      ...data,
      title: hostile,
      rows: [[hostile, hostile, hostile]],
      plots: [{ heading: hostile, scale: "log", x: hostile, points: points([hostile, 1]) }],
    });
    expect(named(html, "img")).toEqual([]);
    expect(named(html, "td").map(({ text }) => text)).toEqual([hostile, hostile]);
  });
});
