import { type ScaleLinear, scaleLinear } from "d3-scale";
import { line, symbol, symbolDiamond } from "d3-shape";
import { FacetError } from "../errors.js";
import { binPoints, drawablePoints, type LossPoint } from "./lossPoints.js";
import { smoothLoss } from "./smoothLoss.js";
import { characterWidth, pixels, svgText } from "./svg.js";

export interface LossCurveOptions {
  /** Losses on validation data, drawn as diamonds. */
  validation?: readonly LossPoint[];
  /** In CSS pixels, at least 310. */
  width: number;
  /** In CSS pixels, at least 160. */
  height: number;
}

/** A page can set these colours; the fallbacks are legible on white and on near-black. */
const trainingColour = "var(--curve-training, #3b78c3)";
const validationColour = "var(--curve-validation, #c2621b)";

interface Axes {
  x: ScaleLinear<number, number>;
  y: ScaleLinear<number, number>;
}

/**
 * The loss by step as one `<svg>` element: reported losses as faint dots, their smoothed line
 * (`smoothLoss`), validation losses as diamonds, axes with ticks, and a legend. When a run has more
 * losses than the plot has pairs of pixels, they are drawn by groups (`binPoints`): a stroke from
 * the lowest to the highest, so that a spike of one step stays visible.
 *
 * Text keeps its size of 12 px: draw the curve anew for another width rather than scaling it.
 * Losses that are not finite are counted below the axis. Points need not be sorted, nor start at
 * step 1. Two curves on one page need different sizes, which make the ids of their titles.
 * @throws FacetError for a size too small for the labels, or a step that is not a whole number.
 */
export function lossCurve(points: readonly LossPoint[], options: LossCurveOptions): string {
  const { width, height } = options;
  if (!(Number.isFinite(width) && width >= 310 && Number.isFinite(height) && height >= 160)) {
    throw new FacetError(
      `A loss curve of ${width} × ${height} pixels has no room for its labels. Use at least 310 × 160.`,
    );
  }
  const training = drawablePoints(points, "training losses");
  const validation = drawablePoints(options.validation ?? [], "validation losses");
  const undrawable = training.undrawable + validation.undrawable;
  const note = undrawable === 0 ? "" : notDrawn(undrawable);
  const id = `loss-curve-${width}x${height}`;
  const content =
    training.points.length + validation.points.length === 0
      ? svgText(width / 2, height / 2, "middle", note || "No loss was reported.")
      : plot(training.points, validation.points, width, height, note);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"`,
    ` viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc"`,
    ` font-family="system-ui, sans-serif" font-size="12" fill="currentColor">`,
    `<title id="${id}-title">Loss by training step</title>`,
    `<desc id="${id}-desc">${description(training.points, validation.points, note)}</desc>`,
    content,
    "</svg>",
  ].join("");
}

function plot(
  training: readonly LossPoint[],
  validation: readonly LossPoint[],
  width: number,
  height: number,
  note: string,
): string {
  const top = 34;
  const bottom = height - (note === "" ? 42 : 60);
  const right = width - 24;
  const all = [...training, ...validation];
  const y = lossScale(all).range([bottom, top]);
  const lossTicks = y.ticks(Math.max(2, Math.floor((bottom - top) / 45)));
  const lossLabels = lossTicks.map(tickFormat(y, lossTicks.length));
  const longest = Math.max(4, ...lossLabels.map((label) => label.length));
  const left = Math.ceil(longest * characterWidth) + 14;
  const x = stepScale(all).range([left, right]);
  const bins = Math.floor((right - left) / 2);
  return [
    ...lossTicks.map((tick, i) => lossTick(left, right, y(tick), lossLabels[i]!)),
    `<path fill="none" stroke="currentColor" stroke-opacity="0.55" d="M${left},${top}V${bottom}H${right}"/>`,
    `<g transform="translate(0,${bottom})">${stepTicks(x, all)}</g>`,
    svgText(0, 16, "start", "loss"),
    svgText((left + right) / 2, bottom + 36, "middle", "step"),
    note === "" ? "" : svgText(width / 2, height - 6, "middle", note),
    marks({ x, y }, training, validation, bins),
    legend(left, width, training.length > 0, validation.length > 0),
  ].join("");
}

function marks(
  { x, y }: Axes,
  training: readonly LossPoint[],
  validation: readonly LossPoint[],
  bins: number,
): string {
  const groups = binPoints(training, bins);
  // A stroke of no length with round ends is a dot, so one path draws both.
  const strokes = groups.map((group) => {
    const [low, high] = extent(group.map(({ loss }) => loss));
    return `M${pixels(x(group[0]!.step))},${pixels(y(low))}V${pixels(y(high))}`;
  });
  const size = groups.length > bins / 2 ? 2.5 : groups.length > 30 ? 4.5 : 7;
  const curve = line<LossPoint>()
    .digits(1)
    .x(({ step }) => x(step))
    .y(({ loss }) => y(loss));
  const diamonds = lastOfEach(validation, bins).map(({ step, loss }) =>
    diamond(pixels(x(step)), pixels(y(loss))),
  );
  return [
    groups.length === 0 ? "" : dotPath(strokes.join(""), size),
    groups.length === 0 ? "" : linePath(curve(lastOfEach(smoothLoss(training), bins)) ?? ""),
    ...diamonds,
  ].join("");
}

function lastOfEach(points: readonly LossPoint[], bins: number): LossPoint[] {
  return binPoints(points, bins).map((group) => group.at(-1)!);
}

function dotPath(d: string, size: number): string {
  return `<path class="reported" fill="none" stroke="${trainingColour}" stroke-opacity="0.5" stroke-width="${size}" stroke-linecap="round" d="${d}"/>`;
}

function linePath(d: string): string {
  return `<path class="smoothed" fill="none" stroke="${trainingColour}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="${d}"/>`;
}

function diamond(x: number, y: number): string {
  const d = symbol(symbolDiamond, 60).digits(1)() ?? "";
  return `<path class="validation" fill="${validationColour}" transform="translate(${x},${y})" d="${d}"/>`;
}

function legend(left: number, width: number, training: boolean, validation: boolean): string {
  const y = 12;
  const entries: [string, string][] = [];
  if (training) {
    entries.push([dotPath(`M12,${y}h0`, 4.5), "reported"]);
    entries.push([linePath(`M0,${y}H16`), "smoothed"]);
  }
  if (validation) entries.push([diamond(12, y), "validation"]);
  let end = 0;
  const drawn = entries.map(([mark, label]) => {
    const entry = `<g transform="translate(${pixels(end)},0)">${mark}${svgText(20, 16, "start", label)}</g>`;
    end += 20 + label.length * characterWidth + 12;
    return entry;
  });
  const start = Math.min(left + 8, width - end);
  return `<g class="legend" transform="translate(${pixels(start)},0)">${drawn.join("")}</g>`;
}

/** Equal or nearly equal losses get an axis of a twentieth around them rather than none at all. */
function lossScale(points: readonly LossPoint[]): ScaleLinear<number, number> {
  const [low, high] = extent(points.map(({ loss }) => loss));
  const size = Math.max(Math.abs(low), Math.abs(high));
  // Ticks cannot be computed between subnormal numbers, which are 0 to any reader.
  if (size < 1e-30) return scaleLinear([-1, 1], [0, 1]);
  const pad = high - low > 1e-4 * size ? 0 : size / 20;
  return scaleLinear([low - pad, high + pad], [0, 1]).nice(5);
}

function stepScale(points: readonly LossPoint[]): ScaleLinear<number, number> {
  const [first, last] = extent(points.map(({ step }) => step));
  return first === last
    ? scaleLinear([first - 1, last + 1], [0, 1])
    : scaleLinear([first, last], [0, 1]);
}

/** Ticks at whole steps only, and at the step itself when there is but one. */
function stepTicks(x: ScaleLinear<number, number>, points: readonly LossPoint[]): string {
  const [first, last] = extent(points.map(({ step }) => step));
  const [left, right] = x.range() as [number, number];
  const count = Math.max(2, Math.floor((right - left) / 60));
  const ticks = first === last ? [first] : x.ticks(count).filter(Number.isInteger);
  const label = tickFormat(x, count, ",d");
  return ticks
    .map(
      (tick) =>
        `<path stroke="currentColor" stroke-opacity="0.55" d="M${pixels(x(tick))},0v5"/>` +
        svgText(pixels(x(tick)), 19, "middle", label(tick)),
    )
    .join("");
}

function lossTick(left: number, right: number, y: number, label: string): string {
  return (
    `<path stroke="currentColor" stroke-opacity="0.13" d="M${left},${pixels(y)}H${right}"/>` +
    svgText(left - 8, pixels(y) + 4, "end", label)
  );
}

/** 0.25 and 12,000 in full, 2.5e+6 for what would not fit the margin. */
function tickFormat(scale: ScaleLinear<number, number>, count: number, plain?: string) {
  const [low, high] = extent(scale.domain());
  const size = Math.max(Math.abs(low), Math.abs(high));
  const compact = size !== 0 && (size >= 1e6 || size < 1e-3);
  return scale.tickFormat(count, compact ? "~g" : plain);
}

function description(
  training: readonly LossPoint[],
  validation: readonly LossPoint[],
  note: string,
): string {
  return [summary("training", training), summary("validation", validation), note]
    .filter((sentence) => sentence !== "")
    .join(" ");
}

function summary(kind: string, points: readonly LossPoint[]): string {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return "";
  if (points.length === 1) return `One ${kind} loss: ${figure(first.loss)} at step ${first.step}.`;
  const lowest = points.reduce((best, point) => (point.loss < best.loss ? point : best));
  return (
    `${points.length} ${kind} losses, from ${figure(first.loss)} at step ${first.step} to ` +
    `${figure(last.loss)} at step ${last.step}; the lowest is ${figure(lowest.loss)} at step ${lowest.step}.`
  );
}

function notDrawn(count: number): string {
  return count === 1
    ? "1 loss is not a finite number and is not drawn."
    : `${count} losses are not finite numbers and are not drawn.`;
}

/** A loop, since a long run has more points than a call may have arguments. */
function extent(values: readonly number[]): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

function figure(loss: number): string {
  return String(Number(loss.toPrecision(4)));
}
