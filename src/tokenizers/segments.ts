import { FacetError } from "../errors.js";
import type { Tokenizer } from "./tokenizer.js";

/** Text, or one control piece placed by its id; `target` says whether the model is to learn to write it. */
export type Segment =
  | { readonly text: string; readonly target: boolean }
  | { readonly piece: string; readonly target: boolean };

/** Token ids, and for each whether it is a target (1) or not (0); no start or end token but those of the segments. */
export interface EncodedText {
  readonly ids: number[];
  readonly isTarget: number[];
}

/**
 * The ids of segments. Neighbouring text segments with the same `target` are encoded as one string: with all
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

function controlId(piece: string, tokenizer: Tokenizer): number {
  const id = tokenizer.pieceToId(piece);
  if (id === undefined) {
    throw new FacetError(
      `The template needs the control piece ${piece}, which this tokenizer does not have. Use another template, such as tutorial.`,
    );
  }
  return id;
}
