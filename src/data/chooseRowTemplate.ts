import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { FacetError } from "../errors.js";
import { chatTemplate } from "../tokenizers/chatTemplate.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { chatRows } from "./chatRows.js";
import { chatOf } from "./conversation.js";
import { jinjaRows, usesMessages } from "./jinjaRows.js";
import { pairFields, pairOf } from "./pairs.js";
import { isChat, rowFormat } from "./rowFormat.js";
import type { Row } from "./rows.js";
import type { RowTemplate } from "./rowTemplate.js";
import { chooseTemplate } from "./templates.js";
import { unreadable } from "./unreadable.js";

export interface TemplateContext {
  readonly tokenizer: Tokenizer;
  /** The Jinja source of how the model reads conversations. */
  readonly chatTemplate?: string | undefined;
}

/** How a Jinja template is told from one with `{field}` in it, where it is no file. */
const INLINE = "jinja:";

/** Whether a template is named by the file it is in. */
export const isTemplateFile = (spec: string): boolean => /\.(jinja2?|j2)$/.test(spec);

/** The source of a Jinja template, where `spec` is a file of one or has it in itself. Throws a FacetError for a file that cannot be read. */
export function jinjaSource(spec: string): string | undefined {
  if (isTemplateFile(spec)) return readTemplate(spec);
  return spec.startsWith(INLINE) ? spec.slice(INLINE.length) : undefined;
}

/**
 * The template for these rows. `spec` is a built-in's name, text with `{field}` in it, a file of Jinja, `jinja:` with
 * its source, or undefined for what the rows suggest: conversations are read by the model's chat template, others as
 * `chooseTemplate` says. Throws a FacetError for what cannot be, such as a field that no row has.
 */
export function chooseRowTemplate(
  spec: string | undefined,
  rows: readonly Row[],
  context: TemplateContext,
): RowTemplate {
  const source = spec === undefined ? undefined : jinjaSource(spec);
  if (spec !== undefined && source !== undefined) {
    return jinja(isTemplateFile(spec) ? basename(spec) : spec, source, rows, context);
  }
  if (spec === undefined || spec === "gemma-chat") {
    const format = rowFormat(rows);
    if (isChat(format)) {
      if (context.chatTemplate === undefined) {
        throw new FacetError(
          `The rows are conversations, and the model has no chat template. Name one: --template chat.jinja.`,
        );
      }
      return chat("gemma-chat", context.chatTemplate, rows, context);
    }
  }
  return chooseTemplate(spec, rows);
}

function jinja(
  name: string,
  source: string,
  rows: readonly Row[],
  context: TemplateContext,
): RowTemplate {
  return usesMessages(source)
    ? chat(name, source, rows, context)
    : jinjaRows(name, source, rows, context.tokenizer);
}

/** Rows as conversations: such as they have, or one turn of the user and one of the model. */
function chat(
  name: string,
  source: string,
  rows: readonly Row[],
  { tokenizer }: TemplateContext,
): RowTemplate {
  const template = chatTemplate(source, tokenizer);
  const format = rowFormat(rows);
  if (isChat(format)) {
    const fields = format === "chat-preference" ? ["prompt", "chosen"] : [format];
    return chatRows({ name, source, fields }, template, (row) => chatOf(row, format));
  }
  const pair = pairFields[format];
  if (pair === undefined) {
    throw new FacetError(
      `The template "${name}" is for conversations, and has no form for ${format} rows.`,
    );
  }
  const fields = [pair.prompt, ...(pair.input === undefined ? [] : [pair.input]), pair.completion];
  return chatRows({ name, source, fields }, template, (row) => {
    const texts = pairOf(row, pair);
    return (
      texts && [
        { role: "user", content: texts.prompt },
        { role: "assistant", content: texts.completion },
      ]
    );
  });
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
