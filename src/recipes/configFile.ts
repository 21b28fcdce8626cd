import { z } from "zod";
import { FacetError, unknownName } from "../errors.js";
import { readYamlObject } from "../formats/yaml.js";

/**
 * The options in a YAML or JSON file: keys of the schema, under the names that run.json has. None is required, as the
 * command line may give the rest, and none is filled in. Throws a FacetError with the line of a key that the schema
 * does not know (and the nearest one that it does) or of a value that it does not take.
 */
export function readConfigFile(path: string, schema: z.ZodObject): Record<string, unknown> {
  const { values, lineOf } = readYamlObject(path);
  for (const [key, value] of Object.entries(values)) {
    const where = `${path}, line ${lineOf(key)}`;
    if (!Object.hasOwn(schema.shape, key)) {
      const { message } = unknownName("option", key, Object.keys(schema.shape));
      throw new FacetError(`${where}: ${message}`);
    }
    const parsed = z.safeParse(schema.shape[key] as z.ZodType, value);
    if (parsed.success) continue;
    const { path: inside, message } = parsed.error.issues[0]!;
    const place = inside.map((part) => `[${String(part)}]`).join("");
    throw new FacetError(`${where}: ${key}${place}: ${message}.`);
  }
  return values;
}
