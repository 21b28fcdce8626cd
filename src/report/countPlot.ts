import { scaleLinear } from "d3-scale";
import { characterWidth, clipped, pixels, svg, svgText } from "./svg.js";

/** How many of a model's answers lie in each bucket. */
export interface PlottedCounts {
  readonly name: string;
  readonly counts: readonly number[];
}

const bandHeight = 64;

/** Histograms below each other over the same buckets, one for each name, all to one scale. */
export function countPlot(
  title: string,
  buckets: readonly string[],
  series: readonly PlottedCounts[],
  { width, id }: { width: number; id: string },
): string {
  const nameRoom = Math.floor(width / 4 / characterWidth);
  const names = series.map(({ name }) => clipped(name, nameRoom));
  const left = Math.ceil(Math.max(...names.map((name) => name.length)) * characterWidth) + 14;
  const band = (width - left - 8) / buckets.length;
  const most = Math.max(1, ...series.flatMap(({ counts }) => counts));
  const height = scaleLinear([0, most], [0, bandHeight - 24]);
  const bottom = 8 + series.length * bandHeight;
  const rows = series.map(({ counts }, i) => {
    const base = 8 + (i + 1) * bandHeight - 6;
    const colour = i === 0 ? "var(--curve-validation, #c2621b)" : "var(--curve-training, #3b78c3)";
    const bars = counts.map((count, bucket) => {
      if (count === 0) return "";
      const [x, h] = [left + bucket * band, height(count)];
      return (
        `<rect x="${pixels(x + band * 0.1)}" y="${pixels(base - h)}" width="${pixels(band * 0.8)}" height="${pixels(h)}" fill="${colour}"/>` +
        svgText(x + band / 2, base - h - 4, "middle", String(count))
      );
    });
    return [
      `<path stroke="currentColor" stroke-opacity="0.4" d="M${left},${base}H${width - 8}"/>`,
      svgText(left - 8, base - 4, "end", names[i]!),
      ...bars,
    ].join("");
  });
  const room = Math.max(...buckets.map((bucket) => bucket.length)) * characterWidth + 6;
  // Labels that would touch are left out evenly.
  const every = Math.ceil(room / band);
  const labels = buckets.map((bucket, i) =>
    i % every === 0 ? svgText(left + (i + 0.5) * band, bottom + 14, "middle", bucket) : "",
  );
  const description = series
    .map(
      ({ name, counts }) => `${name}: ${counts.map((n, i) => `${n} of ${buckets[i]}`).join(", ")}.`,
    )
    .join(" ");
  return svg(
    { width, height: bottom + 22 },
    { id: `${id}-${width}`, title, description },
    [...rows, ...labels].join(""),
  );
}
