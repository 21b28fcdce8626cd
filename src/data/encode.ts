import { FacetError } from "../errors.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { promptOf, type Segment, type Template, TURN_MARKERS } from "./templates.js";

/** Token ids, and for each whether it is a target (1) or not (0); no start or end token. */
export interface EncodedText {
  readonly ids: number[];
  readonly isTarget: number[];
}

/**
 * The ids of a row's segments. Neighbouring text segments with the same `target` are encoded as one string: with all
 * targets that is the whole text, as Keras encodes it; with completion targets the prompt's ids are
 * exactly those that generation is given.
 * Throws a FacetError when the tokenizer lacks a control piece of the template.
 */
export function encodeSegments(segments: readonly Segment[], tokenizer: Tokenizer): EncodedText {
  const ids: number[] = [];
  const isTarget: number[] = [];
  const append = (more: readonly number[], target: boolean) => {
    for (const id of more) {
      ids.push(id);
      isTarget.push(target ? 1 : 0);
    }
  };
  for (let i = 0; i < segments.length; ) {
    const segment = segments[i]!;
    if ("piece" in segment) {
      append([controlId(segment.piece, tokenizer)], segment.target);
      i += 1;
      continue;
    }
    let text = "";
    for (let next = segments[i]; next && "text" in next && next.target === segment.target; ) {
      text += next.text;
      i += 1;
      next = segments[i];
    }
    append(tokenizer.encodeOrdinary(text), segment.target);
  }
  return { ids, isTarget };
}

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

function controlId(piece: string, tokenizer: Tokenizer): number {
  const id = tokenizer.pieceToId(piece);
  if (id === undefined) {
    throw new FacetError(
      `The template needs the control piece ${piece}, which this tokenizer does not have. Use another template, such as tutorial.`,
    );
  }
  return id;
}
