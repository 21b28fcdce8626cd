import type { Template } from "../data/templates.js";
import { FacetError } from "../errors.js";
import { goTemplateText } from "../formats/modelfile.js";
import { TURN_MARKERS } from "../tokenizers/chatTemplate.js";

/** A training template as Ollama's Modelfile has it. */
export interface OllamaTemplate {
  /** Source in Go's template language, without the start token, which Ollama's runner adds. */
  readonly template: string;
  /** Where an answer ends, besides the model's end token. */
  readonly stop: readonly string[];
}

/**
 * The template that gives a model in Ollama the text it was trained on. Ollama has one prompt, so a template with
 * several fields before the response is refused with a FacetError. Two things stay different: Ollama does not strip
 * white space from a prompt, and it reads a turn marker in a prompt as the marker.
 */
export function ollamaTemplate(template: Template): OllamaTemplate {
  const { responseField, name } = template;
  const prompt = withoutOptional(template.prompt);
  const completion = withoutOptional(template.completion);
  const fields = new Set(prompt.flatMap((part) => ("field" in part ? [part.field] : [])));
  const refuse = (reason: string) =>
    new FacetError(
      `The template ${JSON.stringify(name)} has no form in Ollama: ${reason}. Export the adapter or the merged model as GGUF, and render prompts yourself.`,
    );
  if (fields.has(responseField)) {
    throw refuse(`the response, {${responseField}}, is also part of its own prompt`);
  }
  if (fields.size > 1) {
    const list = [...fields].map((field) => `{${field}}`).join(", ");
    throw refuse(`it has the fields ${list}, and Ollama has only one prompt`);
  }
  // Without a field before the response, what the user gives is the response's beginning.
  const beginning = fields.size === 0 ? "{{ .Prompt }}" : "";
  const suffix = completion.slice(1);
  return {
    template: `${goTemplate(prompt, systemOf(template))}${beginning}{{ .Response }}${goTemplate(suffix, "")}`,
    stop: stopWords([...prompt, ...suffix], suffix),
  };
}

type Part = Exclude<Template["prompt"][number], { readonly when: string }>;
type Parts = readonly Part[];

/** The parts for a prompt that comes without any of the fields that a row may have besides. */
const withoutOptional = (parts: Template["prompt"]): Part[] =>
  parts.flatMap((part) => {
    if (!("when" in part)) return [part];
    return part.filled ? [] : withoutOptional(part.parts);
  });

/** Gemma has no system role: its instruction-tuned models are given such text at the start of the user's turn. */
const systemOf = ({ name }: Template): string =>
  name === "gemma-chat" ? "{{ if .System }}{{ .System }}\n\n{{ end }}" : "";

function goTemplate(parts: Parts, system: string): string {
  return parts
    .map((part) => {
      if ("field" in part) return `${system}{{ .Prompt }}`;
      return "piece" in part ? part.piece : goTemplateText(part.text);
    })
    .join("");
}

function stopWords(all: Parts, suffix: Parts): string[] {
  const markers = all.some((part) => "piece" in part) ? TURN_MARKERS : [];
  const [first] = suffix;
  const ending =
    first !== undefined && "text" in first && first.text.trim() !== "" ? [first.text] : [];
  return [...markers, ...ending];
}
