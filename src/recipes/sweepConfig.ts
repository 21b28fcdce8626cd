import { z } from "zod";
import { FacetError, unknownName } from "../errors.js";
import { readYamlObject } from "../formats/yaml.js";
import type { Dimension, Space } from "../search/space.js";
import { validated } from "../validation.js";
import { type FinetuneConfig, finetuneSchema } from "./finetuneConfig.js";

const options = z.record(z.string(), z.unknown());

/** A sweep: options of `facet finetune` that stay, and options that are searched. */
export const sweepSchema = z.strictObject({
  run: z.string().describe("folder for the results; one that has the same sweep is continued"),
  method: z
    .enum(["grid", "random", "halving"])
    .default("grid")
    .describe("all combinations, drawn ones, or drawn ones of which the best get more steps"),
  trials: z.int().min(2).optional().describe("how many combinations are drawn"),
  factor: z
    .int()
    .min(2)
    .default(3)
    .describe("halving: one in so many goes on, with so many times the steps"),
  goal: z.enum(["loss", "accuracy"]).default("loss").describe("of the held-out rows"),
  seed: z.int().nonnegative().default(0).describe("seed of the draws"),
  options: options.describe("options of finetune that all runs share"),
  search: options.describe("options of finetune with the values to try"),
  retrain: z
    .union([z.literal(false), options])
    .optional()
    .describe("options in which the last run, with the best combination, differs; false: none"),
});

export interface SweepConfig extends Omit<z.output<typeof sweepSchema>, "search" | "retrain"> {
  readonly space: Space;
  readonly retrain: false | Readonly<Record<string, unknown>>;
}

const range = z
  .strictObject({
    min: z.number(),
    max: z.number(),
    scale: z.enum(["linear", "log"]).default("linear"),
    count: z.int().positive().optional(),
  })
  .refine(({ min, max }) => min < max, "min must be less than max")
  .refine(({ min, scale }) => scale === "linear" || min > 0, "a log scale needs a min above 0");

/** Options that a sweep decides itself, and why they cannot be searched or given. */
const decided: Readonly<Record<string, string>> = {
  run: "each run gets a folder in that of the sweep",
  objective: "losses of different objectives cannot be compared",
  validationSplit: "runs with other held-out rows cannot be compared",
};

/**
 * Reads a sweep from a YAML or JSON file. Throws a FacetError for what is no sweep: an option that finetune does not
 * have, a value that it does not take, a method without what it needs.
 */
export function readSweepFile(path: string): SweepConfig {
  const { values } = readYamlObject(path);
  const { search, ...given } = validated(sweepSchema, values, "sweep");
  const sweep = { ...given, retrain: given.retrain ?? retrainedByDefault(given.options) };
  const space = new Map<string, Dimension>();
  for (const [name, value] of Object.entries(search)) space.set(name, dimensionOf(name, value));
  if (space.size === 0) throw new FacetError(`${path}: "search" names no option to search.`);
  checkOptions(sweep.options, space);
  checkMethod(sweep, space);
  return { ...sweep, space };
}

/** A run that looks at held-out rows while it trains cannot do without them; else the last run learns from all rows. */
const retrainedByDefault = ({ evaluateEvery, evaluateEpochs }: Record<string, unknown>) =>
  evaluateEvery === undefined && evaluateEpochs === undefined
    ? { validationSplit: 0 }
    : (false as const);

function dimensionOf(name: string, value: unknown): Dimension {
  requireOption(name, "search");
  const reason = decided[name];
  if (reason !== undefined) throw new FacetError(`${name} cannot be searched: ${reason}.`);
  if (Array.isArray(value)) {
    if (value.length === 0) throw new FacetError(`search.${name} has no values.`);
    for (const each of value) requireValue(`search.${name}`, name, each);
    return { values: value };
  }
  const parsed = range.safeParse(value);
  if (!parsed.success) {
    throw new FacetError(
      `search.${name} must be a list of values, or {min, max, scale: linear or log, count}:\n${z.prettifyError(parsed.error)}`,
    );
  }
  const { min, max, scale, count } = parsed.data;
  for (const end of [min, max]) requireValue(`search.${name}`, name, end);
  // An option that refuses every fraction takes whole numbers.
  const field = finetuneSchema.shape[name as keyof FinetuneConfig] as z.ZodType;
  const whole = !field.safeParse(Math.floor(min) + 0.5).success && Number.isInteger(min);
  return { min, max, scale, whole, count };
}

function checkOptions(given: Readonly<Record<string, unknown>>, space: Space): void {
  for (const [name, value] of Object.entries(given)) {
    requireOption(name, "options");
    if (space.has(name)) throw new FacetError(`${name} is both in "options" and in "search".`);
    if (name === "run") throw new FacetError(`options.run is not needed: ${decided.run}.`);
    requireValue(`options.${name}`, name, value);
  }
  if (!(Number(given.validationSplit) > 0)) {
    throw new FacetError(
      "A sweep compares runs by held-out rows. Set validationSplit in its options, such as 0.1.",
    );
  }
}

function checkMethod(
  { method, goal, trials, options, retrain }: Omit<SweepConfig, "space">,
  space: Space,
): void {
  if (goal === "loss" && space.has("beta")) {
    throw new FacetError("beta changes what the loss means. Search it with goal: accuracy.");
  }
  if (method === "grid" && trials !== undefined) {
    throw new FacetError("A grid tries all combinations; leave trials out, or use another method.");
  }
  if (method !== "grid" && trials === undefined) {
    throw new FacetError(`The method ${method} needs trials: how many combinations to draw.`);
  }
  if (method === "halving") {
    for (const name of ["epochs", "maxSteps"]) {
      if (space.has(name))
        throw new FacetError(`Halving decides ${name} itself; do not search it.`);
    }
    if (options.maxSteps === undefined || options.epochs !== undefined) {
      throw new FacetError(
        "Halving needs maxSteps in its options, the steps of the longest run, and no epochs.",
      );
    }
  }
  if (retrain === false) return;
  for (const [name, value] of Object.entries(retrain)) {
    requireOption(name, "retrain");
    if (name === "run") throw new FacetError(`retrain.run is not needed: ${decided.run}.`);
    requireValue(`retrain.${name}`, name, value);
  }
}

function requireOption(name: string, where: string): void {
  if (Object.hasOwn(finetuneSchema.shape, name)) return;
  throw unknownName(`option in ${where}`, name, Object.keys(finetuneSchema.shape));
}

function requireValue(where: string, name: string, value: unknown): void {
  const field = finetuneSchema.shape[name as keyof FinetuneConfig] as z.ZodType;
  const parsed = field.safeParse(value);
  if (!parsed.success) {
    throw new FacetError(
      `${where} cannot be ${JSON.stringify(value)}: ${parsed.error.issues[0]!.message}.`,
    );
  }
}
