import { scaleLinear } from "d3-scale";
import { characterWidth, clipped, pixels, svg, svgText } from "./svg.js";

/** A value of one model, with where it would lie with other rows. */
export interface PlottedInterval {
  readonly name: string;
  readonly value: number;
  readonly interval: readonly [low: number, high: number] | undefined;
  /** The value in words. */
  readonly shown: string;
}

const rowHeight = 26;

/**
 * A line for each model: a dot at its value, a stroke over its interval, the value in words beside it. Values that are
 * not finite are named, but not drawn. `title` is escaped, and with the width makes the ids.
 */
export function intervalPlot(
  title: string,
  items: readonly PlottedInterval[],
  { width, id, zero = false }: { width: number; id: string; zero?: boolean },
): string {
  const longest = (texts: readonly string[]) => Math.max(...texts.map((text) => text.length));
  const nameRoom = Math.floor(width / 3 / characterWidth);
  const names = items.map(({ name }) => clipped(name, nameRoom));
  const left = Math.ceil(longest(names) * characterWidth) + 14;
  const right = width - Math.ceil(longest(items.map(({ shown }) => shown)) * characterWidth) - 16;
  const bottom = 8 + items.length * rowHeight;
  const ends = items
    .flatMap(({ value, interval }) => [value, ...(interval ?? [])])
    .filter(Number.isFinite);
  if (zero) ends.push(0);
  const x = scaleLinear(domain(ends), [left, right]).nice(4);
  const ticks = x.ticks(Math.max(2, Math.floor((right - left) / 90)));
  const format = x.tickFormat(ticks.length);
  const grid = ticks.map(
    (tick) =>
      `<path stroke="currentColor" stroke-opacity="${zero && tick === 0 ? 0.6 : 0.15}" d="M${pixels(x(tick))},4V${bottom}"/>` +
      svgText(x(tick), bottom + 16, "middle", format(tick)),
  );
  const rows = items.map(({ value, interval, shown }, i) => {
    const y = 8 + (i + 0.5) * rowHeight;
    const colour = i === 0 ? "var(--curve-validation, #c2621b)" : "var(--curve-training, #3b78c3)";
    const stroke =
      interval?.every(Number.isFinite) &&
      `<path stroke="${colour}" stroke-width="3" stroke-opacity="0.55" stroke-linecap="round" d="M${pixels(x(interval[0]))},${y}H${pixels(x(interval[1]))}"/>`;
    const dot =
      Number.isFinite(value) &&
      `<circle cx="${pixels(x(value))}" cy="${y}" r="5" fill="${colour}"/>`;
    return [
      svgText(left - 8, y + 4, "end", names[i]!),
      stroke || "",
      dot || "",
      svgText(right + 10, y + 4, "start", shown),
    ].join("");
  });
  const description = items.map(({ name, shown }) => `${name}: ${shown}.`).join(" ");
  return svg(
    { width, height: bottom + 24 },
    { id: `${id}-${width}`, title, description },
    [...grid, ...rows].join(""),
  );
}

/** What the values span, or a little around a single one. */
function domain(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high))) return [low, high];
  const pad = Math.abs(low) / 20 || 1;
  return [low - pad, high + pad];
}
