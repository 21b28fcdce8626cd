/**
 * How the instruction-tuned models read conversations, as Jinja templates: `<bos>`, then for each message
 * `<start_of_turn>{user|model}\n{content, trimmed}<end_of_turn>\n`, then where the model is to speak
 * `<start_of_turn>model\n` (https://ai.google.dev/gemma/docs/core/prompt-structure).
 */

const turns = (messages: string, prefix: string) => `{{ bos_token }}\
{% for message in ${messages} %}\
{% if message['role'] == 'system' or (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('turn ' + loop.index|string + ' has the role "' + message['role'] + '" where "' + ('user' if loop.index0 % 2 == 0 else 'model') + '" is due: roles alternate user, model, user, model, beginning with user') }}\
{% endif %}\
{{ '<start_of_turn>' + ('user' if message['role'] == 'user' else 'model') + '\\n' + ${prefix} + message['content']|trim + '<end_of_turn>\\n' }}\
{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}`;

/** Gemma 1 and 2 have no system role. */
export const withoutSystem = `\
{% if messages and messages[0]['role'] == 'system' %}\
{{ raise_exception('Gemma 1 and 2 have no role "system". Put its text at the beginning of the first user message') }}\
{% endif %}\
${turns("messages", "''")}`;

/** Gemma 3 has the system's text, as it is, at the beginning of the first user turn. */
export const systemInFirstTurn = `\
{% if messages[0]['role'] == 'system' %}\
{% set prefix = messages[0]['content'] + '\\n\\n' %}{% set rest = messages[1:] %}\
{% else %}\
{% set prefix = '' %}{% set rest = messages %}\
{% endif %}\
${turns("rest", "(prefix if loop.first else '')")}`;
