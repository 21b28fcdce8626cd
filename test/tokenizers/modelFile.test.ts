import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { readModel } from "../../src/tokenizers/modelFile.js";
import { readSentencePiece } from "../../src/tokenizers/sentencePiece.js";
import { tokenizerModel } from "../../src/tokenizers/tokenizerModel.js";
import { fixturePath } from "./fixtures.js";
import {
  BYTES,
  CONTROL,
  TrainerSpec_ModelType as ModelType,
  modelBytes,
  type Piece,
  Type,
} from "./model.js";

const read = (...args: Parameters<typeof modelBytes>) => readModel(modelBytes(...args), "m.model");
const refuses = (args: Parameters<typeof modelBytes>, message: RegExp) => {
  expect(() => read(...args)).toThrow(FacetError);
  expect(() => read(...args)).toThrow(message);
};
const A: Piece = ["a", -1];

describe("a model that Facet does not implement is refused", () => {
  it("unigram, word and character models", () => {
    refuses([[...CONTROL, A], { modelType: ModelType.UNIGRAM }], /m\.model: a UNIGRAM model/);
    refuses([[...CONTROL, A], { modelType: ModelType.WORD }], /a WORD model/);
  });

  it("a compiled character map, for encoding or decoding", () => {
    const charsmap = { precompiledCharsmap: Uint8Array.of(1, 2, 3) };
    refuses([[...CONTROL, A], {}, charsmap], /compiled character map/);
    refuses([[...CONTROL, A], {}, {}, charsmap], /compiled character map/);
  });

  it("white space as suffix, and unused pieces", () => {
    refuses([[...CONTROL, A], { treatWhitespaceAsSuffix: true }], /suffix/);
    refuses([[...CONTROL, ["a", 0, Type.UNUSED]]], /piece 4 \("a"\) is of type UNUSED/);
  });

  it("a user-defined piece with a space where extra spaces are removed", () => {
    const pieces: Piece[] = [...CONTROL, ["a  b", 0, Type.USER_DEFINED]];
    refuses([pieces, {}, { removeExtraWhitespaces: true }], /holds a space/);
    expect(read(pieces).pieces[4]).toBe("a  b");
  });
});

describe("a contradictory model is refused", () => {
  it("a piece of a type that there is not, and one longer than any", () => {
    const model = read([...CONTROL, A]);
    // As GGUF can say.
    const types = model.types.with(4, 77 as Type);
    expect(() => tokenizerModel({ ...model, types }, "m.gguf")).toThrow(
      /m.gguf: piece 4 \("a"\) is of type 77/,
    );
    refuses([[...CONTROL, ["a".repeat(1001)]]], /piece 4 is longer than 1000 letters/);
  });

  it("a file larger than any tokenizer's, before it is read", () => {
    const folder = mkdtempSync(join(tmpdir(), "facet-"));
    const path = join(folder, "tokenizer.model");
    writeFileSync(path, "");
    truncateSync(path, 2 ** 32);
    expect(() => readSentencePiece(path)).toThrow(/has 4294967296 bytes/);
    rmSync(folder, { recursive: true });
  });

  it("duplicate, empty and non-UTF-8 pieces", () => {
    refuses([[...CONTROL, A, A]], /piece 4 \("a"\) and piece 5 \("a"\) are the same/);
    refuses([[...CONTROL, [""]]], /piece 4 is empty/);
    refuses([[...CONTROL, [Uint8Array.of(0xff)]]], /not valid UTF-8/);
    // Two halves of € in neighbouring pieces.
    refuses([[...CONTROL, [Uint8Array.of(0xe2, 0x82)], [Uint8Array.of(0xac)]]], /not valid UTF-8/);
  });

  it("a score that is no number", () => {
    refuses([[...CONTROL, ["a", Number.NaN]]], /piece 4 \("a"\) has no valid score/);
  });

  it("byte pieces that are incomplete, misnamed, or without byte fallback", () => {
    refuses([[...CONTROL, ...BYTES.slice(1)], { byteFallback: true }], /byte 0 has no piece/);
    refuses([[...CONTROL, ["<0xZZ>", 0, Type.BYTE]], { byteFallback: true }], /<0xZZ>/);
    refuses([[...CONTROL, ...BYTES]], /byte_fallback is off/);
  });

  it("no unknown piece, two of them, or a missing control piece", () => {
    refuses([[...CONTROL.slice(0, 3), A]], /exactly one piece of type UNKNOWN/);
    refuses([[...CONTROL, ["?", 0, Type.UNKNOWN]]], /exactly one piece of type UNKNOWN/);
    refuses([CONTROL.slice(1)], /padding piece "<pad>"/);
    refuses([[...CONTROL.slice(0, 2), ["<bos>", 0], CONTROL[3]!]], /start piece "<bos>"/);
  });

  it("no pieces at all, as of another kind of file", () => {
    expect(() => readModel(new Uint8Array(0), "empty")).toThrow(/empty: no pieces/);
    expect(() => readModel(new TextEncoder().encode('{"model": {}}'), "t.json")).toThrow(
      FacetError,
    );
  });
});

describe("a damaged file", () => {
  const whole = new Uint8Array(readFileSync(fixturePath("tok512", "tokenizer.model")));
  const readOrRefuse = (bytes: Uint8Array) => {
    try {
      return readModel(bytes, "damaged").pieces.length;
    } catch (error) {
      expect(error).toBeInstanceOf(FacetError);
      return undefined;
    }
  };

  it("is read whole", () => {
    expect(readOrRefuse(whole)).toBe(512);
  });

  it("cut anywhere, is refused", () => {
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), (length) => {
        expect(readOrRefuse(whole.subarray(0, length))).toBeUndefined();
      }),
    );
  });

  it("with bytes changed, is read or refused, never worse", () => {
    const change = fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
        const bytes = whole.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        readOrRefuse(bytes);
      }),
    );
  });
});
