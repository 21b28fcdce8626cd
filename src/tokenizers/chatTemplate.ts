import { FacetError, unknownName } from "../errors.js";
import { type JinjaTemplate, jinjaTemplate } from "./jinja.js";
import { trimEnd, trimStart } from "./pythonStrip.js";
import { type EncodedText, encodeSegments, type Segment } from "./segments.js";
import type { Tokenizer } from "./tokenizer.js";
import { isMarker } from "./userPieces.js";

/** One turn of a conversation; `model` is another name for `assistant`. */
export interface ChatMessage {
  readonly role: "user" | "model" | "assistant" | "system";
  readonly content: string;
}

/**
 * Gemma's turn markers. Written in a template they stand for their ids;
 * spelled in the data they stay text, so that data cannot forge a turn.
 */
export const TURN_MARKERS: readonly string[] = ["<start_of_turn>", "<end_of_turn>"];

const ROLES = ["user", "model", "assistant", "system"];
const isModel = ({ role }: ChatMessage) => role === "model" || role === "assistant";

/** How a model reads conversations. */
export interface ChatTemplate {
  /**
   * The segments of a conversation; with `addGenerationPrompt` the model is to speak next. Control pieces are placed by
   * id where the template writes them, and a content that spells one stays text. Targets are what the model said, and
   * what the template puts after it up to the next turn: `<end_of_turn>` and a newline.
   * Throws a FacetError for no messages, an unknown role, and what the template refuses, such as two turns of the user.
   */
  segments(messages: readonly ChatMessage[], options: ChatOptions): Segment[];
  /** The same as ids. */
  encode(messages: readonly ChatMessage[], options: ChatOptions): EncodedText;
  /**
   * The ids that a model is given to speak next. Unlike with `encode`, the template may change earlier turns when
   * more is said, for example leave out what the model thought: nothing has to be told apart.
   */
  prompt(messages: readonly ChatMessage[]): number[];
}

export interface ChatOptions {
  readonly addGenerationPrompt: boolean;
}

/**
 * The chat template of a Jinja source, such as `chat_template` of tokenizer_config.json, for a tokenizer. Contents are
 * not given to the template: it places marks, which are replaced after rendering, trimmed where the template trims. So
 * a content can neither forge control pieces nor run as a template.
 */
export function chatTemplate(source: string, tokenizer: Tokenizer): ChatTemplate {
  for (const marker of TURN_MARKERS) {
    if (source.includes(marker) && tokenizer.pieceToId(marker) === undefined) {
      throw new FacetError(
        `The tokenizer has no piece ${marker}, which the chat template needs. Use a template without turns, such as tutorial.`,
      );
    }
  }
  const template = jinjaTemplate(source, "The chat template");
  const segments: ChatTemplate["segments"] = (messages, { addGenerationPrompt }) => {
    requireRoles(messages);
    const text = renderMarks(template, tokenizer, messages, addGenerationPrompt);
    return spans(
      text,
      (count, prompt) => renderMarks(template, tokenizer, messages.slice(0, count), prompt),
      messages,
    ).flatMap(({ text: piece, target }) => fill(piece, target, messages, tokenizer));
  };
  return {
    segments,
    encode: (messages, options) => encodeSegments(segments(messages, options), tokenizer),
    prompt(messages) {
      requireRoles(messages);
      const text = renderMarks(template, tokenizer, messages, true);
      return encodeSegments(fill(text, false, messages, tokenizer), tokenizer).ids;
    },
  };
}

function requireRoles(messages: readonly ChatMessage[]): void {
  if (messages.length === 0) throw new FacetError("A chat needs at least one message.");
  for (const { role } of messages)
    if (!ROLES.includes(role)) throw unknownName("role", role, ROLES);
}

/** Em spaces, which a template that trims takes away, around private characters and the message's number. */
const mark = (index: number) => `\u2003\uE000${index}\uE001\u2003`;
const marks = /(\u2003?)\uE000(\d+)\uE001(\u2003?)/g;

function renderMarks(
  template: JinjaTemplate,
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
): string {
  return template({
    messages: messages.map((message, index) => ({
      role: isModel(message) ? "assistant" : message.role,
      content: mark(index),
    })),
    add_generation_prompt: addGenerationPrompt,
    bos_token: tokenizer.idToPiece(tokenizer.bosId),
    eos_token: tokenizer.idToPiece(tokenizer.eosId),
  });
}

/**
 * The rendered text in pieces, those that the model said apart. Such a piece is what a message of the model adds to the
 * conversation so far with its generation prompt: exactly what the model would be asked for.
 */
function spans(
  text: string,
  conversation: (count: number, addGenerationPrompt: boolean) => string,
  messages: readonly ChatMessage[],
): { text: string; target: boolean }[] {
  const pieces: { text: string; target: boolean }[] = [];
  let done = 0;
  messages.forEach((message, index) => {
    if (!isModel(message)) return;
    const asked = conversation(index, true);
    const answered = conversation(index + 1, false);
    if (!answered.startsWith(asked) || !text.startsWith(answered)) {
      throw new FacetError(
        `The chat template changes earlier turns when the model has answered (message ${index + 1}), so what the model said cannot be told from the rest.`,
      );
    }
    pieces.push({ text: text.slice(done, asked.length), target: false });
    pieces.push({ text: answered.slice(asked.length), target: true });
    done = answered.length;
  });
  pieces.push({ text: text.slice(done), target: false });
  return pieces;
}

/** A piece of rendered text as segments: contents for marks, and control pieces where the template spells them. */
function fill(
  text: string,
  target: boolean,
  messages: readonly ChatMessage[],
  tokenizer: Tokenizer,
): Segment[] {
  const segments: Segment[] = [];
  let done = 0;
  for (const match of text.matchAll(marks)) {
    segments.push(...controlPieces(text.slice(done, match.index), target, tokenizer));
    const [found, left, index, right] = match;
    const { content } = messages[Number(index)]!;
    const begun = left === "" ? trimStart(content) : content;
    segments.push({ text: right === "" ? trimEnd(begun) : begun, target });
    done = match.index + found.length;
  }
  segments.push(...controlPieces(text.slice(done), target, tokenizer));
  return segments.filter((segment) => !("text" in segment && segment.text === ""));
}

/** A text as segments, with the tokenizer's markers in it as control pieces. */
export function controlPieces(text: string, target: boolean, tokenizer: Tokenizer): Segment[] {
  return text
    .split(/(<[^<>]+>|\[[^[\]]+\])/)
    .map((part) =>
      isMarker(part) && tokenizer.pieceToId(part) !== undefined
        ? { piece: part, target }
        : { text: part, target },
    );
}
