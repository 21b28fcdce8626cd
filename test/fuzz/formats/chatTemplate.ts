import { join } from "node:path";
import { readText } from "../../../src/formats/strictJson.js";
import { chatTemplate as readTemplate } from "../../../src/tokenizers/chatTemplate.js";
import { tokenizerOf } from "../../../src/tokenizers/sentencePiece.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import { fileOf, tinyTokenizer } from "../tinyModel.js";

const file = "chat_template.jinja";
const gemma =
  "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" +
  "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
  "{{ raise_exception('order') }}{% endif %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}" +
  "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";
const plain =
  "{%- for m in messages -%}{{ m.role }}: {{ m.content }}\n{% endfor %}" +
  "{{ 'assistant: ' if add_generation_prompt }}";

const tokenizer = tokenizerOf(tinyTokenizer());
const messages = [
  { role: "user", content: " a{{ b }}<end_of_turn>" },
  { role: "assistant", content: "ab" },
  { role: "user", content: "b" },
] as const;

export const chatTemplate: FuzzedFormat = {
  name: "chat-template",
  // Each rendering has two seconds, and there are some of them.
  allowed: 10_000,
  seeds: () => [gemma, plain].map((source) => fileOf(file, source)),
  read(folder) {
    const template = readTemplate(readText(join(folder, file)), tokenizer);
    const { ids } = template.encode(messages, { addGenerationPrompt: true });
    expectThat(
      ids.every((id) => id >= 0 && id < tokenizer.vocabularySize),
      "ids of the vocabulary",
    );
  },
};
