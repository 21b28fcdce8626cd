import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readStrictJson } from "../formats/strictJson.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { validated } from "../validation.js";

const id = z.int().nonnegative();
const schema = z.looseObject({ eos_token_id: z.union([id, z.array(id)]).nullish() });

/**
 * Ids at which generated text ends: the end token, what generation_config.json names besides, and, where the vocabulary
 * has it, the end of a turn, which the first instruction-tuned models' file does not name.
 * Throws a FacetError for a damaged file.
 */
export function readStopIds(folder: string, tokenizer: Tokenizer): number[] {
  const path = join(folder, "generation_config.json");
  const named = existsSync(path) ? validated(schema, readStrictJson(path), path).eos_token_id : [];
  const endOfTurn = tokenizer.pieceToId("<end_of_turn>");
  const turns = endOfTurn === undefined ? [] : [endOfTurn];
  return [...new Set([tokenizer.eosId, ...[named ?? []].flat(), ...turns])];
}
