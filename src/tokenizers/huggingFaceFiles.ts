import { sentencePieceBytes } from "./modelFileWriting.js";
import { specialPieces, toTokenizerJson } from "./tokenizerJson.js";
import type { TokenizerModel } from "./tokenizerModel.js";

/**
 * The files by which Hugging Face's tools know a Gemma's tokenizer, by name; with `chatTemplate`, a Jinja template,
 * those of an instruction-tuned model, whose turns end its answers.
 */
export function huggingFaceTokenizerFiles(
  model: TokenizerModel,
  chatTemplate: string | undefined,
): Map<string, string | Uint8Array> {
  const { pieces, bosId, eosId, padId, unkId } = model;
  const markers = ["<start_of_turn>", "<end_of_turn>"].filter((piece) => pieces.includes(piece));
  const names = {
    bos_token: pieces[bosId]!,
    eos_token: pieces[eosId]!,
    pad_token: pieces[padId]!,
    unk_token: pieces[unkId]!,
  };
  const special = specialPieces(model);
  const flags = { lstrip: false, normalized: false, rstrip: false, single_word: false };
  const decoder = [...pieces.entries()]
    .filter(([, piece]) => special.has(piece))
    .map(([id, content]) => [id, { content, ...flags, special: true }]);
  const endOfTurn = pieces.indexOf("<end_of_turn>");
  const stops = chatTemplate !== undefined && endOfTurn >= 0 ? [eosId, endOfTurn] : eosId;
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const files = new Map<string, string | Uint8Array>([
    ["tokenizer.model", sentencePieceBytes(model)],
    ["tokenizer.json", toTokenizerJson(model)],
    [
      "tokenizer_config.json",
      json({
        add_bos_token: true,
        add_eos_token: false,
        added_tokens_decoder: Object.fromEntries(decoder),
        additional_special_tokens: markers,
        ...names,
        clean_up_tokenization_spaces: false,
        model_max_length: 1e30,
        padding_side: "left",
        spaces_between_special_tokens: false,
        tokenizer_class: "GemmaTokenizer",
        use_default_system_prompt: false,
        ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
      }),
    ],
    ["special_tokens_map.json", json({ additional_special_tokens: markers, ...names })],
    [
      "generation_config.json",
      json({ bos_token_id: bosId, eos_token_id: stops, pad_token_id: padId }),
    ],
  ]);
  if (chatTemplate !== undefined) files.set("chat_template.jinja", chatTemplate);
  return files;
}
