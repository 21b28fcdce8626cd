import { z } from "zod";
import { FacetError } from "../errors.js";
import { isCount, isString, listOf, recordOf } from "../validation.js";
import { byteOfPiece, type TokenizerModel, Type, tokenizerModel } from "./tokenizerModel.js";

/**
 * `tokenizer.json`, the form of Hugging Face's tokenizers library: a list of merges instead of scores. A merge's
 * place in the list is its rank, so the score of a piece is minus the rank of the first merge that makes it.
 */

const SPACE = "▁";
const specials = { padId: "<pad>", eosId: "<eos>", bosId: "<bos>" } as const;

const replace = z.object({
  type: z.literal("Replace"),
  pattern: z.object({ String: z.literal(" ") }),
  content: z.literal(SPACE),
});
const prepend = z.object({ type: z.literal("Prepend"), prepend: z.literal(SPACE) });
type Merge = string | readonly [string, string];
const isMerge = (value: unknown): value is Merge =>
  isString(value) || (Array.isArray(value) && value.length === 2 && value.every(isString));

interface AddedToken {
  readonly id: number;
  readonly content: string;
}
const isAddedToken = (value: unknown): value is AddedToken => {
  const { id, content } = (value ?? {}) as Partial<Record<keyof AddedToken, unknown>>;
  return isCount(id) && isString(content) && content !== "";
};

const unset = z.union([z.null(), z.literal(""), z.literal(0)]).optional();

const fileSchema = z.object({
  added_tokens: listOf(isAddedToken, "expected a list of tokens with an id and a content"),
  normalizer: z.union([
    replace,
    z.object({ type: z.literal("Sequence"), normalizers: z.tuple([replace]) }),
    z.object({ type: z.literal("Sequence"), normalizers: z.tuple([prepend, replace]) }),
  ]),
  // After the normalizer no space is left to split at.
  pre_tokenizer: z
    .object({ type: z.literal("Split"), pattern: z.object({ String: z.literal(" ") }) })
    .nullish(),
  model: z.object({
    type: z.literal("BPE"),
    dropout: unset,
    continuing_subword_prefix: unset,
    end_of_word_suffix: unset,
    unk_token: z.string(),
    byte_fallback: z.literal(true),
    ignore_merges: z.literal(false).optional(),
    vocab: recordOf(isCount, "expected an object of ids"),
    merges: listOf(isMerge, "expected a list of pairs"),
  }),
});

/**
 * Reads a Gemma's `tokenizer.json`. Added tokens whose id is `vocabularySize` or more, which the model cannot embed
 * (the image token of Gemma 3's text models), are left out.
 * Throws a FacetError, naming `source`, for what is damaged and for anything that would encode text in another way
 * than a SentencePiece model does.
 */
export function tokenizerFromJson(
  file: string | Uint8Array,
  source: string,
  vocabularySize = Number.POSITIVE_INFINITY,
): TokenizerModel {
  const bad = (what: string) => new FacetError(`${source}: ${what}`);
  const { model, normalizer, added_tokens } = parse(file, bad);
  // An id far outside would make a list with room for all before it.
  const most = 2 * (Object.keys(model.vocab).length + added_tokens.length);
  const added = added_tokens.filter(({ id }) => id < vocabularySize);
  const pieces: string[] = [];
  for (const [piece, id] of [
    ...Object.entries(model.vocab),
    ...added.map(({ content, id }) => [content, id] as const),
  ]) {
    if ((pieces[id] ?? piece) !== piece) throw bad(`the id ${id} has two tokens.`);
    if (id >= most) {
      throw bad(`the id ${id} of ${JSON.stringify(piece)} is far beyond the number of tokens.`);
    }
    pieces[id] = piece;
  }
  for (let id = 0; id < pieces.length; id++) {
    if (pieces[id] === undefined) throw bad(`the id ${id} has no token.`);
  }
  restoreTab(pieces);
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  const special = (piece: string) => {
    const id = ids.get(piece);
    if (id === undefined) throw bad(`it has no token ${piece}, which Gemma's tokenizers have.`);
    return id;
  };
  const control = Object.fromEntries(
    Object.entries(specials).map(([role, piece]) => [role, special(piece)]),
  ) as Record<keyof typeof specials, number>;
  const types = new Array<Type>(pieces.length).fill(Type.NORMAL);
  for (const { id } of added) types[id] = Type.USER_DEFINED;
  for (const [id, piece] of pieces.entries()) {
    if (byteOfPiece(piece) !== undefined) types[id] = Type.BYTE;
  }
  for (const id of Object.values(control)) types[id] = Type.CONTROL;
  types[special(model.unk_token)] = Type.UNKNOWN;
  const parts = {
    pieces,
    scores: scoresOf(model.merges, ids, types, bad),
    types,
    ...control,
    unkSurface: " \u2047 ",
    byteFallback: true,
    addDummyPrefix: "normalizers" in normalizer && normalizer.normalizers.length === 2,
    removeExtraWhitespaces: false,
    escapeWhitespaces: true,
  };
  return tokenizerModel(parts, source);
}

type Bad = (what: string) => FacetError;

function parse(file: string | Uint8Array, bad: Bad): z.infer<typeof fileSchema> {
  let json: unknown;
  try {
    const text =
      typeof file === "string" ? file : new TextDecoder("utf-8", { fatal: true }).decode(file);
    json = JSON.parse(text);
  } catch (error) {
    throw bad(`not valid JSON: ${(error as Error).message}.`);
  }
  const parsed = fileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw bad(
    `it is not a tokenizer like Gemma's, which Facet implements:\n${z.prettifyError(parsed.error)}`,
  );
}

/** Some converters of Gemma's tokenizer gave the id of the byte 9 to the tab itself. */
function restoreTab(pieces: string[]): void {
  const tab = pieces.indexOf("\t");
  if (tab >= 0 && !pieces.includes("<0x09>")) pieces[tab] = "<0x09>";
}

function scoresOf(
  merges: readonly Merge[],
  ids: ReadonlyMap<string, number>,
  types: readonly Type[],
  bad: Bad,
): Float32Array {
  const scores = new Float32Array(ids.size);
  let last = -1;
  const finished = new Set<number>();
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = typeof merge === "string" ? merge.split(" ", 2) : merge;
    const id = ids.get(`${left}${right}`);
    if (id === undefined || !ids.has(left ?? "") || !ids.has(right ?? "")) {
      throw bad(`the merge ${rank}, ${JSON.stringify(merge)}, is not of tokens into a token.`);
    }
    // Added tokens are found in the text before anything is merged.
    if (types[id] !== Type.NORMAL || id === last) continue;
    if (finished.has(id)) {
      throw bad(
        `merges into ${JSON.stringify(`${left}${right}`)} stand apart from each other, which scores of pieces cannot say.`,
      );
    }
    finished.add(id);
    scores[id] = -rank - 1;
    last = id;
  }
  return scores;
}

/** The contents of a `tokenizer.json` as Transformers converts it from the SentencePiece model of a Gemma. */
export function toTokenizerJson(model: TokenizerModel): string {
  const { pieces, types, addDummyPrefix } = model;
  const special = specialPieces(model);
  const added = [...pieces.entries()].filter(
    ([id]) => types[id] !== Type.NORMAL && types[id] !== Type.BYTE,
  );
  const bos = pieces[model.bosId]!;
  const start = (type_id: number) => ({ SpecialToken: { id: bos, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const spaces = { type: "Replace", pattern: { String: " " }, content: SPACE };
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map(([id, content]) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false },
      special: special.has(content),
    })),
    normalizer: addDummyPrefix
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: SPACE }, spaces] }
      : spaces,
    pre_tokenizer: {
      ...{ type: "Split", pattern: { String: " " } },
      ...{ behavior: "MergedWithPrevious", invert: false },
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [start(0), sequence("A", 0)],
      pair: [start(0), sequence("A", 0), start(1), sequence("B", 1)],
      special_tokens: { [bos]: { id: bos, ids: [model.bosId], tokens: [bos] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: SPACE }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
    model: {
      ...{ type: "BPE", dropout: null, unk_token: pieces[model.unkId] },
      ...{ continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: true, byte_fallback: true, ignore_merges: false },
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: mergesOf(model),
    },
  };
  return JSON.stringify(file, null, 2);
}

/** Pieces that Hugging Face's tools treat as control tokens. */
export function specialPieces({ pieces, types }: TokenizerModel): Set<string> {
  const isControl = (id: number) => types[id] === Type.CONTROL || types[id] === Type.UNKNOWN;
  const control = pieces.filter((_, id) => isControl(id));
  return new Set([...control, "<mask>", "<start_of_turn>", "<end_of_turn>"]);
}

/**
 * Every way to make a piece of two others, piece by piece in the order of scores: the order of ids, which falls
 * together with it in SentencePiece's files, breaks ties.
 */
function mergesOf({ pieces, scores, table }: TokenizerModel): [string, string][] {
  const order = [...pieces.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  return order.flatMap((id) => {
    const piece = pieces[id]!;
    const ways: [string, string][] = [];
    for (let at = 1; at < piece.length; at++) {
      const [left, right] = [piece.slice(0, at), piece.slice(at)];
      if (table.idOf(left) >= 0 && table.idOf(right) >= 0) ways.push([left, right]);
    }
    return ways;
  });
}
