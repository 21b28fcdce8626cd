import { create, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TrainerSpec_ModelType } from "./sentencepiece_pb.js";
import type { TokenizerModel } from "./tokenizerModel.js";

/**
 * The bytes of a `tokenizer.model` (Keras presets: `vocabulary.spm`), from which SentencePiece's own library and
 * `readModel` make the same tokenizer.
 */
export function sentencePieceBytes(model: TokenizerModel): Uint8Array {
  const { pieces, scores, types } = model;
  const encoder = new TextEncoder();
  const proto = create(ModelProtoSchema, {
    pieces: pieces.map((piece, id) => ({
      piece: encoder.encode(piece),
      score: scores[id]!,
      type: types[id]!,
    })),
    trainerSpec: {
      modelType: TrainerSpec_ModelType.BPE,
      vocabSize: pieces.length,
      byteFallback: model.byteFallback,
      unkSurface: model.unkSurface,
      padId: model.padId,
      padPiece: pieces[model.padId]!,
      eosId: model.eosId,
      eosPiece: pieces[model.eosId]!,
      bosId: model.bosId,
      bosPiece: pieces[model.bosId]!,
      unkId: model.unkId,
      unkPiece: pieces[model.unkId]!,
    },
    normalizerSpec: {
      name: "identity",
      addDummyPrefix: model.addDummyPrefix,
      removeExtraWhitespaces: model.removeExtraWhitespaces,
      escapeWhitespaces: model.escapeWhitespaces,
    },
  });
  return toBinary(ModelProtoSchema, proto);
}
