import { FacetError } from "../errors.js";
import { TURN_MARKERS } from "../tokenizers/chatTemplate.js";
import { type EncodedText, encodeSegments, type Segment } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { RowTemplate } from "./rowTemplate.js";
import { promptOf, type Template } from "./templates.js";

/** What generation is given for a row: the start token, then the prompt's ids. */
export function promptIds(
  template: Template,
  fields: Readonly<Record<string, string>>,
  tokenizer: Tokenizer,
): number[] {
  return [tokenizer.bosId, ...encodeSegments(promptOf(template, fields), tokenizer).ids];
}

/** What generation is given for an instruction: the start token, then the ids of the template's prompt. */
export function instructionIds(
  template: RowTemplate,
  instruction: string,
  tokenizer: Tokenizer,
): number[] {
  const encoded = encodeSegments(template.promptFor(instruction), tokenizer);
  return [tokenizer.bosId, ...withoutFrame(encoded, tokenizer).ids];
}

/**
 * The text without the start and end token that a chat template writes: examples have exactly one of each. Throws a
 * FacetError for a template that writes a start token elsewhere.
 */
export function withoutFrame(text: EncodedText, tokenizer: Tokenizer): EncodedText {
  const from = text.ids[0] === tokenizer.bosId ? 1 : 0;
  const to = text.ids.length - (text.ids.at(-1) === tokenizer.eosId ? 1 : 0);
  const whole = from === 0 && to === text.ids.length;
  const ids = whole ? text.ids : text.ids.slice(from, to);
  if (ids.includes(tokenizer.bosId)) {
    throw new FacetError(
      "The template writes the start token in the middle of a row. It belongs to the beginning only; Facet puts it there.",
    );
  }
  return whole ? text : { ids, isTarget: text.isTarget.slice(from, to) };
}

/** Whether a text of the segments, which comes from the data, spells a turn marker. */
export function spellsMarker(segments: readonly Segment[]): boolean {
  return segments.some(
    (s) => "text" in s && TURN_MARKERS.some((marker) => s.text.includes(marker)),
  );
}
