import { create, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  type NormalizerSpec,
  type TrainerSpec,
  TrainerSpec_ModelType,
  SentencePiece_Type as Type,
} from "../../src/tokenizers/sentencepiece_pb.js";

export { TrainerSpec_ModelType, Type };

/** A piece with its score (merging prefers higher) and type. */
export type Piece = readonly [piece: string | Uint8Array, score?: number, type?: Type];

type Init<Message> = Partial<Omit<Message, "$typeName" | "$unknown">>;

/** `<pad>` 0, `<eos>` 1, `<bos>` 2, `<unk>` 3. */
export const CONTROL: readonly Piece[] = [
  ["<pad>", 0, Type.CONTROL],
  ["<eos>", 0, Type.CONTROL],
  ["<bos>", 0, Type.CONTROL],
  ["<unk>", 0, Type.UNKNOWN],
];

export const BYTES: readonly Piece[] = Array.from({ length: 256 }, (_, byte) => [
  `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  0,
  Type.BYTE,
]);

/** The bytes of a small model in Gemma's manner (BPE, identity normalizer), with what is given changed. */
export function modelBytes(
  pieces: readonly Piece[],
  trainer: Init<TrainerSpec> = {},
  normalizer: Init<NormalizerSpec> = {},
  denormalizer: Init<NormalizerSpec> = {},
): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      pieces: pieces.map(([piece, score = 0, type = Type.NORMAL]) => ({
        piece: typeof piece === "string" ? new TextEncoder().encode(piece) : piece,
        score,
        type,
      })),
      trainerSpec: {
        modelType: TrainerSpec_ModelType.BPE,
        bosPiece: "<bos>",
        eosPiece: "<eos>",
        ...trainer,
      },
      normalizerSpec: { addDummyPrefix: false, removeExtraWhitespaces: false, ...normalizer },
      denormalizerSpec: denormalizer,
    }),
  );
}
