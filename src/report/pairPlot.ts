import { scaleLinear } from "d3-scale";
import { pixels, svg, svgText } from "./svg.js";

/** More points than this are drawn as every second, third, …: nobody could tell them apart. */
const MOST_POINTS = 2000;

/**
 * A point for each row: its loss before, to the right, and after, upwards. Points below the diagonal got better. Pairs
 * that are not finite are not drawn, and counted.
 */
export function pairPlot(
  title: string,
  pairs: readonly (readonly [before: number, after: number])[],
  { width, id, x: across, y: up }: { width: number; id: string; x: string; y: string },
): string {
  const height = Math.min(width, 420);
  const finite = pairs.filter((pair) => pair.every(Number.isFinite));
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of finite.flat()) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = high > low ? [low, high] : [low - 1, low + 1];
  const scale = scaleLinear(finite.length === 0 ? [0, 1] : range, [0, 1]).nice(5);
  const [left, right, top, bottom] = [52, width - 16, 24, height - 42];
  const x = scale.copy().range([left, right]);
  const y = scale.copy().range([bottom, top]);
  const ticks = scale.ticks(width < 400 ? 4 : 6);
  const format = scale.tickFormat(ticks.length);
  const [start, end] = scale.domain() as [number, number];
  const step = Math.ceil(finite.length / MOST_POINTS);
  const dots = finite
    .filter((_, i) => i % step === 0)
    .map(([before, after]) => `M${pixels(x(before))},${pixels(y(after))}h0`);
  const undrawn = pairs.length - finite.length;
  const note = undrawn === 0 ? "" : ` (${undrawn} not finite)`;
  const content = [
    ...ticks.flatMap((tick) => [
      `<path stroke="currentColor" stroke-opacity="0.12" d="M${pixels(x(tick))},${top}V${bottom}M${left},${pixels(y(tick))}H${right}"/>`,
      svgText(x(tick), bottom + 16, "middle", format(tick)),
      svgText(left - 6, y(tick) + 4, "end", format(tick)),
    ]),
    `<path stroke="currentColor" stroke-opacity="0.6" d="M${pixels(x(start))},${pixels(y(start))}L${pixels(x(end))},${pixels(y(end))}"/>`,
    `<path fill="none" stroke="var(--curve-training, #3b78c3)" stroke-opacity="0.55" stroke-width="5" stroke-linecap="round" d="${dots.join("")}"/>`,
    svgText((left + right) / 2, height - 6, "middle", `${across}${note}`),
    svgText(0, 12, "start", up),
  ];
  const better = finite.filter(([before, after]) => after < before).length;
  const description = `${pairs.length} rows; ${better} lie below the diagonal.`;
  return svg({ width, height }, { id: `${id}-${width}`, title, description }, content.join(""));
}
