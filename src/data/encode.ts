import { TURN_MARKERS } from "../tokenizers/chatTemplate.js";
import { encodeSegments, type Segment } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { promptOf, type Template } from "./templates.js";

/** What generation is given for a row: the start token, then the prompt's ids. */
export function promptIds(
  template: Template,
  fields: Readonly<Record<string, string>>,
  tokenizer: Tokenizer,
): number[] {
  return [tokenizer.bosId, ...encodeSegments(promptOf(template, fields), tokenizer).ids];
}

/** Whether a text of the segments, which comes from the data, spells a turn marker. */
export function spellsMarker(segments: readonly Segment[]): boolean {
  return segments.some(
    (s) => "text" in s && TURN_MARKERS.some((marker) => s.text.includes(marker)),
  );
}
