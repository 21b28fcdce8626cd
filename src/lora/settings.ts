import { FacetError } from "../errors.js";
import { firstMatches } from "../formats/peftPatterns.js";
import type { LinearModule } from "../nn/linear.js";
import type { AdapterStart, LoraConfig, LoraLayout } from "./config.js";

/** An adapter's configuration as a person writes it: see the descriptions in `recipes/loraConfig.ts`. */
export interface LoraSettings {
  readonly rank: number;
  readonly alpha?: number | undefined;
  readonly rankPattern?: readonly string[] | undefined;
  readonly alphaPattern?: readonly string[] | undefined;
  readonly rslora?: boolean | undefined;
  /** Short names of layers, or `all-linear`. */
  readonly modules: readonly string[];
  readonly layers?: string | undefined;
  readonly layout: LoraLayout;
  readonly dropout?: number | undefined;
  readonly dora?: boolean | undefined;
  readonly start?: AdapterStart | undefined;
}

/** Stands for every linear layer, as in PEFT. */
export const allLinear = "all-linear";

/**
 * The configuration for a model with these modules. Throws a FacetError for patterns and layers that
 * are none, or that name nothing of the model.
 */
export function loraConfigOf(settings: LoraSettings, modules: readonly LinearModule[]): LoraConfig {
  const { rank, alpha = rank, layout, dropout = 0, rslora = false } = settings;
  const every = [...new Set(modules.map(({ target }) => target))];
  const targets = settings.modules.includes(allLinear) ? every : settings.modules;
  const layers = settings.layers === undefined ? undefined : layersOf(settings.layers, modules);
  const isAdapted = ({ target, layer }: LinearModule) =>
    targets.includes(target) && (layers?.includes(layer) ?? true);
  const paths = modules.filter(isAdapted).map(({ path }) => path);
  const ranks = byPath(settings.rankPattern ?? [], paths, "rank-pattern");
  const alphas = byPath(settings.alphaPattern ?? [], paths, "alpha-pattern");
  return {
    ...{ rank, alpha, targets, layout, dropout },
    ...(settings.dora && { dora: true }),
    ...(settings.start !== undefined && { start: settings.start }),
    ...(rslora && { rankStabilized: true }),
    ...(layers !== undefined && { layers }),
    ...(ranks.size > 0 && { ranks }),
    ...(alphas.size > 0 && { alphas }),
  };
}

/** "0-3,8" as 0, 1, 2, 3, 8. */
function layersOf(text: string, modules: readonly LinearModule[]): number[] {
  const count = Math.max(...modules.map(({ layer }) => layer)) + 1;
  const layers = text.split(",").flatMap((part) => {
    const [, first, last = first] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from <= to)) {
      throw new FacetError(
        `Invalid --layers ${JSON.stringify(text)}: give numbers and ranges, for example 0-3,8.`,
      );
    }
    if (to >= count) {
      throw new FacetError(`--layers ${text}: the model has layers 0 to ${count - 1}, no ${to}.`);
    }
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(layers)].sort((a, b) => a - b);
}

/** The number that `pattern=number` gives to each module path, where one does: of the first that matches, as in PEFT. */
function byPath(
  given: readonly string[],
  paths: readonly string[],
  option: string,
): ReadonlyMap<string, number> {
  const patterns = new Map(
    given.map((text) => {
      const at = text.lastIndexOf("=");
      const value = Number(text.slice(at + 1));
      if (at < 1 || !(value > 0) || !Number.isFinite(value)) {
        throw new FacetError(
          `Invalid --${option} ${JSON.stringify(text)}: give a pattern and a number, for example q_proj=8.`,
        );
      }
      return [text.slice(0, at), value] as const;
    }),
  );
  for (const pattern of patterns.keys()) {
    const alone = firstMatches(new Map([[pattern, 1]]), paths);
    if (alone.every((match) => match === undefined)) {
      throw new FacetError(
        `--${option}: ${JSON.stringify(pattern)} matches none of the layers that get an adapter; one is ${paths[0]}.`,
      );
    }
  }
  const values = firstMatches(patterns, paths);
  return new Map(
    paths.flatMap((path, i) => (values[i] === undefined ? [] : [[path, values[i]] as const])),
  );
}
