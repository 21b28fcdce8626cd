import { FacetError } from "../errors.js";

/** Means over the target tokens of held-out rows. */
export interface HeldOutScore {
  /** Cross-entropy in nats per token. */
  loss: number;
  /** The share of tokens that the model ranks first, 0 to 1. */
  accuracy: number;
}

interface Measure {
  name: string;
  /** What its unit is, for readers who meet it for the first time. */
  meaning: string;
  value(score: HeldOutScore): number;
  lowerIsBetter: boolean;
  decimals: number;
  unit: string;
  differenceUnit: string;
}

const measures: Measure[] = [
  {
    name: "Loss",
    meaning: "nats per token; lower is better",
    value: ({ loss }) => loss,
    lowerIsBetter: true,
    decimals: 3,
    unit: "",
    differenceUnit: "",
  },
  {
    name: "Perplexity",
    meaning: "e to the loss; lower is better",
    value: ({ loss }) => Math.exp(loss),
    lowerIsBetter: true,
    decimals: 2,
    unit: "",
    differenceUnit: "",
  },
  {
    name: "Accuracy",
    meaning: "next tokens guessed right; higher is better",
    value: ({ accuracy }) => accuracy * 100,
    lowerIsBetter: false,
    decimals: 1,
    unit: " %",
    differenceUnit: " percentage points",
  },
];

/**
 * Loss, perplexity and accuracy before and after training, with the difference in words, as a
 * `<table>`. A difference is that of the numbers as shown, so that a reader can check it.
 * @throws FacetError for an accuracy outside 0 to 1 (a percentage, perhaps). NaN is shown as such.
 */
export function heldOutTable(before: HeldOutScore, after: HeldOutScore): string {
  for (const [when, { accuracy }] of Object.entries({ before, after })) {
    if (accuracy < 0 || accuracy > 1) {
      throw new FacetError(
        `The held-out accuracy ${when} training is ${accuracy}. Give it as a share from 0 to 1.`,
      );
    }
  }
  const rows = measures.map((measure) => {
    const from = measure.value(before);
    const to = measure.value(after);
    return [
      `<tr><th scope="row">${measure.name} <small>${measure.meaning}</small></th>`,
      `<td data-label="Before">${shown(from, measure)}</td>`,
      `<td data-label="After">${shown(to, measure)}</td>`,
      `<td data-label="Difference">${difference(from, to, measure)}</td></tr>`,
    ].join("");
  });
  return [
    `<table class="scores"><thead><tr><th scope="col">Measure</th><th scope="col">Before</th>`,
    `<th scope="col">After</th><th scope="col">Difference</th></tr></thead>`,
    `<tbody>${rows.join("")}</tbody></table>`,
  ].join("");
}

function shown(value: number, { decimals, unit }: Measure): string {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return "infinite";
  return `${figure(value, decimals)}${unit}`;
}

function difference(from: number, to: number, measure: Measure): string {
  if (!Number.isFinite(from) || !Number.isFinite(to)) return "cannot be compared";
  const change = rounded(to, measure.decimals) - rounded(from, measure.decimals);
  const size = figure(Math.abs(change), measure.decimals);
  if (Number(size) === 0) return "unchanged";
  const better = change < 0 === measure.lowerIsBetter;
  return `${size}${measure.differenceUnit} ${change < 0 ? "lower" : "higher"} (${better ? "better" : "worse"})`;
}

/** The perplexity of an untrained model needs its power of ten rather than its decimals. */
function figure(value: number, decimals: number): string {
  return Math.abs(value) < 1e6 ? value.toFixed(decimals) : value.toExponential(2);
}

function rounded(value: number, decimals: number): number {
  return Number(figure(value, decimals));
}
