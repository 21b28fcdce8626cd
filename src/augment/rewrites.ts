import type { Row } from "../data/rows.js";
import type { Random } from "../random.js";
import type { Slots } from "./slots.js";

/** What a rewrite is given besides the row. */
export interface RewriteContext {
  readonly slots: Slots;
  readonly random: Random;
  /** Sentences around an instruction, each with `{prompt}` in it. */
  readonly phrases: readonly string[];
  /** Passages of other rows. */
  readonly passages: readonly string[];
}

/** A row that asks for the same in another way, with the same answer; undefined where there is no other way. */
export type Rewrite = (row: Row, context: RewriteContext) => Row | undefined;

/** Ways to ask that change nothing about the answer. */
export const PHRASES: readonly string[] = [
  "Please help me with this: {prompt}",
  "{prompt} Please answer.",
  "I have a question for you. {prompt}",
  "Here is what I would like: {prompt}",
  "Can you do this for me? {prompt}",
  "{prompt} Thank you!",
  "Task: {prompt}",
  "I need an answer to the following. {prompt}",
  "Tell me this, please: {prompt}",
  "Hello! {prompt}",
];

/** Puts the instruction into another sentence. */
const paraphrase: Rewrite = (row, { slots, random, phrases }) => {
  const phrase = phrases[random.below(phrases.length)]!;
  // A replacement text could have $ in it.
  return changed(row, slots, (text) => phrase.replace("{prompt}", () => text.trim()));
};

type Noise = (text: string) => string;

const NOISES: readonly Noise[] = [
  (text) => text.toLowerCase(),
  (text) => text.toUpperCase(),
  (text) => text.replace(/^\p{Lu}/u, (letter) => letter.toLowerCase()),
  (text) => text.replace(/[.?!]+$/, ""),
  (text) => text.replace(/([.?!])$/, "$1$1$1"),
  (text) => text.replaceAll(",", ""),
  (text) => text.replace(/(\p{L})['’](\p{L})/gu, "$1$2"),
  (text) => text.replace(/([.?!,]) /g, "$1  "),
  (text) => text.replace(/ ([^ ]*)$/, "  $1"),
];

/** Case and punctuation as people type them: one or two changes of the instruction. */
const noise: Rewrite = (row, { slots, random }) => {
  const first = random.below(NOISES.length);
  const second = random.below(2 * NOISES.length);
  return changed(row, slots, (text) => {
    // From the chosen change on, the first that does something.
    const order = NOISES.map((_, i) => NOISES[(first + i) % NOISES.length]!);
    const one = order.map((change) => change(text)).find((other) => other !== text) ?? text;
    return second < NOISES.length ? NOISES[second]!(one) : one;
  });
};

const LEAD_INS: readonly RegExp[] = [
  /^(?:hello|hi|hey)(?: there)?[,.!]*\s+/i,
  /^(?:please|kindly)[,:]?\s+/i,
  /^(?:can|could|would|will) you (?:please |kindly )?(?=\p{L})/iu,
  /^(?:i(?:'d| would) like you to|i want you to|i need you to|your task is to|help me(?: to)?)\s+/i,
  /^tell me[,:]?\s+(?=(?:what|who|where|when|why|how|which|whether|if)\b)/i,
  /^(?:given the (?:following|above) (?:text|passage|paragraph|reference text|information)[^,.:]{0,60}|based on (?:the|this) (?:text|passage|paragraph|information)[^,.:]{0,40})[,:]\s+/i,
];

/** Backs off to the bare instruction: greetings, courtesies and lead-ins are left out. */
const backOff: Rewrite = (row, { slots }) =>
  changed(row, slots, (text) => {
    let bare = text.trim().replace(/[\s,]*\b(?:please|thank you|thanks)\b\s*([.!?]*)$/i, "$1");
    for (let before = ""; before !== bare; ) {
      before = bare;
      for (const lead of LEAD_INS) bare = bare.replace(lead, "");
    }
    if (!/\p{L}/u.test(bare)) return text;
    return bare.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
  });

/** Puts the passage of another row before or after a row's own, so that what is asked for has to be found. */
const mixedContexts: Rewrite = (row, { slots: { passage }, random, passages }) => {
  const own = passage === undefined ? undefined : row.fields[passage];
  if (passage === undefined || own === undefined || own.trim() === "" || passages.length === 0) {
    return undefined;
  }
  const other = passages[random.below(passages.length)]!;
  const before = random.below(2) === 0;
  if (other === own) return undefined;
  const both = before ? `${other}\n\n${own}` : `${own}\n\n${other}`;
  return { ...row, fields: { ...row.fields, [passage]: both } };
};

export const rewrites = {
  paraphrase,
  noise,
  "back-off": backOff,
  "mix-contexts": mixedContexts,
} as const satisfies Record<string, Rewrite>;

export type RewriteName = keyof typeof rewrites;
export const rewriteNames = Object.keys(rewrites) as [RewriteName, ...RewriteName[]];

function changed(row: Row, slots: Slots, change: (text: string) => string): Row | undefined {
  const text = slots.instruction(row);
  if (text === undefined || text.trim() === "") return undefined;
  const other = change(text);
  return other === text ? undefined : slots.withInstruction(row, other);
}
