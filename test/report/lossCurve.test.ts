import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { lossCurve } from "../../src/report/lossCurve.js";
import { parseMarkup } from "./markup.js";

const size = { width: 600, height: 300 };

const falling = (count: number, first = 1) =>
  Array.from({ length: count }, (_, i) => ({ step: first + i, loss: 1 + 3 * 0.99 ** i }));

const labels = (svg: string) =>
  parseMarkup(svg)
    .filter(({ name }) => name === "text")
    .map(({ text }) => text);

/** Paths of the plot that have this class; those of the legend are left out. */
const paths = (svg: string, kind: string) =>
  parseMarkup(svg.replace(/<g class="legend".*(?=<\/svg>)/, "")).filter(
    ({ attributes }) => attributes.class === kind,
  );

const description = (svg: string) => parseMarkup(svg).find(({ name }) => name === "desc")!.text;

describe("for those who cannot see it", () => {
  test("it is an image with a title and a description of the numbers", () => {
    const svg = lossCurve(
      [
        { step: 1, loss: 4.25 },
        { step: 2, loss: 2 },
        { step: 3, loss: 2.123456 },
      ],
      { ...size, validation: [{ step: 3, loss: 2.5 }] },
    );
    const elements = parseMarkup(svg);
    const root = elements[0]!.attributes;
    expect(root.role).toBe("img");
    const [title, desc] = root["aria-labelledby"]!.split(" ").map((id) =>
      elements.find(({ attributes }) => attributes.id === id),
    );
    expect(title!.text).toBe("Loss by training step");
    expect(desc!.text).toBe(
      "3 training losses, from 4.25 at step 1 to 2.123 at step 3; the lowest is 2 at step 2. " +
        "One validation loss: 2.5 at step 3.",
    );
  });
});

describe("axes", () => {
  test("are labelled, with round ticks", () => {
    const shown = labels(lossCurve(falling(100), size));
    expect(shown).toEqual(expect.arrayContaining(["step", "loss", "20", "40", "60", "80", "100"]));
    expect(shown).toEqual(expect.arrayContaining(["2.0", "2.5", "3.0"]));
  });

  test("start where the run starts, not at step 1", () => {
    const shown = labels(lossCurve(falling(100, 5001), size));
    expect(shown).toContain("5,040");
    expect(shown).not.toContain("0");
  });

  test("have ticks at whole steps only", () => {
    const shown = labels(lossCurve(falling(3), size)).filter((label) => /^\d+$/.test(label));
    expect(shown).toEqual(["1", "2", "3"]);
  });

  test("write large losses short, and small ones with all the digits that differ", () => {
    const shown = (unit: number) =>
      labels(
        lossCurve(
          [1, 2].map((step) => ({ step, loss: step * unit })),
          size,
        ),
      );
    expect(shown(1e30)).toContain("1.2e+30");
    expect(shown(1e-5)).toEqual(expect.arrayContaining(["0.00001", "0.000012"]));
  });
});

describe("what is drawn", () => {
  test("a mark for each reported loss, and one line", () => {
    const svg = lossCurve(falling(50), size);
    expect(paths(svg, "reported")[0]!.attributes.d!.match(/M/g)).toHaveLength(50);
    expect(paths(svg, "smoothed")).toHaveLength(1);
    expect(paths(svg, "validation")).toHaveLength(0);
    expect(labels(svg)).not.toContain("validation");
  });

  test("a diamond for each validation loss, named in the legend", () => {
    const validation = [10, 20, 30].map((step) => ({ step, loss: 2 }));
    const svg = lossCurve(falling(50), { ...size, validation });
    expect(paths(svg, "validation")).toHaveLength(3);
    expect(labels(svg)).toEqual(expect.arrayContaining(["reported", "smoothed", "validation"]));
  });

  test("higher losses higher up, later steps to the right", () => {
    const svg = lossCurve(
      [
        { step: 2, loss: 1 },
        { step: 1, loss: 5 },
      ],
      size,
    );
    const [early, late] = [
      ...paths(svg, "reported")[0]!.attributes.d!.matchAll(/M([\d.]+),([\d.]+)/g),
    ];
    expect(Number(early![1])).toBeLessThan(Number(late![1]));
    expect(Number(early![2])).toBeLessThan(Number(late![2]));
  });

  test("one point", () => {
    const svg = lossCurve([{ step: 7, loss: 2.5 }], size);
    expect(labels(svg)).toEqual(expect.arrayContaining(["7", "2.5"]));
    expect(labels(svg)).not.toContain("8");
    expect(description(svg)).toBe("One training loss: 2.5 at step 7.");
  });

  test.each([0, 2, -3, 1e-9, 5e-324])("a constant loss of %d, as a level line", (loss) => {
    const svg = lossCurve(
      [1, 2, 3].map((step) => ({ step, loss })),
      size,
    );
    const d = paths(svg, "smoothed")[0]!.attributes.d!;
    const heights = [...d.matchAll(/,([\d.]+)/g)].map((match) => match[1]);
    expect(heights).toHaveLength(3);
    expect(new Set(heights).size).toBe(1);
  });

  test("validation losses without training losses", () => {
    const svg = lossCurve([], { ...size, validation: [{ step: 4, loss: 2 }] });
    expect(paths(svg, "validation")).toHaveLength(1);
    expect(labels(svg)).not.toContain("reported");
  });

  test("no points at all, in words", () => {
    expect(labels(lossCurve([], size))).toEqual(["No loss was reported."]);
  });

  test("losses that are not finite are left out, and the picture says so", () => {
    const svg = lossCurve([...falling(5), { step: 6, loss: Number.NaN }], size);
    const note = "1 loss is not a finite number and is not drawn.";
    expect(paths(svg, "reported")[0]!.attributes.d!.match(/M/g)).toHaveLength(5);
    expect(labels(svg)).toContain(note);
    expect(description(svg)).toContain(note);
    const none = lossCurve(
      [Number.NaN, Number.NaN].map((loss, step) => ({ step, loss })),
      size,
    );
    expect(labels(none)).toEqual(["2 losses are not finite numbers and are not drawn."]);
  });
});

describe("a long run", () => {
  const long = falling(200_000).map((point) =>
    point.step === 90_001 ? { ...point, loss: 9 } : point,
  );
  const svg = lossCurve(long, size);

  test("is drawn in a few kilobytes, whatever its length", () => {
    expect(svg.length).toBeLessThan(20_000);
  });

  test("keeps a spike of one step", () => {
    const spans = [
      ...paths(svg, "reported")[0]!.attributes.d!.matchAll(/M[\d.]+,([\d.]+)V([\d.]+)/g),
    ].map((match) => Number(match[1]) - Number(match[2]));
    expect(spans.length).toBeGreaterThan(200);
    // From 1 up to 9 on an axis from 0 to 10, which is 224 pixels long.
    expect(Math.max(...spans)).toBeCloseTo(0.8 * 224, 0);
  });

  test("is described by its true numbers", () => {
    expect(description(svg)).toContain(
      "200000 training losses, from 4 at step 1 to 1 at step 200000",
    );
  });
});

test.each([
  [309, 300],
  [310, 159],
  [Number.NaN, 300],
  [310, Number.POSITIVE_INFINITY],
])("a size of %d × %d is refused", (width, height) => {
  expect(() => lossCurve(falling(3), { width, height })).toThrow(FacetError);
});

test("any losses give well-formed markup without NaN, inside the picture", () => {
  const step = fc.oneof(fc.nat(), fc.nat(20), fc.maxSafeNat());
  const points = fc.array(fc.record({ step, loss: fc.double() }), { maxLength: 400 });
  fc.assert(
    fc.property(points, points, (training, validation) => {
      const svg = lossCurve(training, { validation, width: 310, height: 160 });
      parseMarkup(svg);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      for (const { attributes } of [...paths(svg, "reported"), ...paths(svg, "smoothed")]) {
        for (const number of attributes.d!.match(/-?[\d.]+/g) ?? []) {
          expect(Number(number)).toBeGreaterThanOrEqual(0);
          expect(Number(number)).toBeLessThanOrEqual(310);
        }
      }
    }),
    { numRuns: 60 },
  );
});
