import { scaleLinear, scaleLog, scalePoint } from "d3-scale";
import { characterWidth, clipped, pixels, svg, svgText } from "./svg.js";

/** A run's value of an option, or place in a sweep, and what it reached. */
export interface PlottedValue {
  readonly x: number | string;
  readonly y: number;
  /** Points of one group are joined by a line, by ascending x. */
  readonly group?: string | undefined;
  readonly isBest: boolean;
}

export interface ValuePlotOptions {
  readonly width: number;
  readonly id: string;
  /** Numbers lie on an axis of this kind; texts side by side. */
  readonly scale: "linear" | "log";
  readonly x: string;
  readonly y: string;
}

/** A point for each run: across the value of an option, upwards what the run reached. Runs that are not finite are left out. */
export function valuePlot(
  title: string,
  points: readonly PlottedValue[],
  { width, id, scale, x: across, y: up }: ValuePlotOptions,
): string {
  const height = 260;
  const drawn = points.filter(
    ({ x, y }) => Number.isFinite(y) && (typeof x === "string" || Number.isFinite(x)),
  );
  const [top, bottom, right] = [28, height - 44, width - 20];
  const y = scaleLinear(span(drawn.map((point) => point.y)), [bottom, top]).nice(5);
  const yTicks = y.ticks(5);
  const yLabels = yTicks.map(y.tickFormat(5));
  const left =
    Math.ceil(Math.max(3, ...yLabels.map((label) => label.length)) * characterWidth) + 14;
  const { place, ticks } = acrossScale(drawn, scale, left + 12, right);
  const marks = drawn.map((point) => {
    const colour = point.isBest
      ? "var(--curve-validation, #c2621b)"
      : "var(--curve-training, #3b78c3)";
    return `<circle cx="${pixels(place(point.x))}" cy="${pixels(y(point.y))}" r="${point.isBest ? 6 : 4}" fill="${colour}" fill-opacity="${point.isBest ? 1 : 0.65}"/>`;
  });
  const best = drawn
    .filter(({ isBest }) => isBest)
    .map((point) => `best ${up} ${point.y.toPrecision(4)} at ${point.x}`);
  const description = `${drawn.length} runs${best.length > 0 ? `; ${best.join(", ")}` : ""}.`;
  const content = [
    ...yTicks.map(
      (tick, i) =>
        `<path stroke="currentColor" stroke-opacity="0.15" d="M${left},${pixels(y(tick))}H${right}"/>` +
        svgText(left - 6, y(tick) + 4, "end", yLabels[i]!),
    ),
    ...ticks.map(({ at, label }) => svgText(at, bottom + 18, "middle", label)),
    `<path fill="none" stroke="currentColor" stroke-opacity="0.55" d="M${left},${top}V${bottom}H${right}"/>`,
    ...groupLines(drawn).map(
      (line) =>
        `<path fill="none" stroke="var(--curve-training, #3b78c3)" stroke-opacity="0.35" d="M${line.map((p) => `${pixels(place(p.x))},${pixels(y(p.y))}`).join("L")}"/>`,
    ),
    ...marks,
    svgText(0, 14, "start", up),
    svgText((left + right) / 2, height - 6, "middle", across),
  ];
  return svg({ width, height }, { id: `${id}-${width}`, title, description }, content.join(""));
}

/** Where values lie across, and which are named below the axis. */
function acrossScale(
  points: readonly PlottedValue[],
  kind: "linear" | "log",
  left: number,
  right: number,
) {
  const values = [...new Set(points.map(({ x }) => x))];
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < values.length || values.length === 0) {
    const names = values.map(String);
    const scale = scalePoint(names, [left, right]).padding(0.5);
    const room = Math.floor((right - left) / Math.max(1, names.length) / characterWidth);
    const ticks = names.map((name) => ({
      at: scale(name)!,
      label: clipped(name, Math.max(3, room)),
    }));
    return { place: (value: number | string) => scale(String(value))!, ticks };
  }
  const log =
    kind === "log" && Math.min(...numbers) > 0 && Math.max(...numbers) > Math.min(...numbers);
  const scale = log
    ? scaleLog([Math.min(...numbers), Math.max(...numbers)], [left, right])
    : scaleLinear(span(numbers), [left, right]);
  const few = numbers.length <= Math.floor((right - left) / 70);
  const shown = few
    ? numbers
    : scale.ticks(4).filter((_, i, all) => all.length <= 6 || i % Math.ceil(all.length / 6) === 0);
  const label = (value: number) => String(Number(value.toPrecision(3)));
  return {
    place: (value: number | string) => scale(value as number),
    ticks: shown.map((value) => ({ at: scale(value), label: label(value) })),
  };
}

/** The points of each group that has several, in order. */
function groupLines(points: readonly PlottedValue[]): PlottedValue[][] {
  const groups = new Map<string, PlottedValue[]>();
  for (const point of points) {
    if (point.group === undefined) continue;
    groups.set(point.group, [...(groups.get(point.group) ?? []), point]);
  }
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => group.sort((a, b) => Number(a.x) - Number(b.x)));
}

/** What values span, or a little around a single one. */
function span(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (high > low) return [low, high];
  const pad = Math.abs(low) / 20 || 1;
  return [low - pad, high + pad];
}
