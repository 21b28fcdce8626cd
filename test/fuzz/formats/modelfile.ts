import { join } from "node:path";
import { parseTemplate } from "../../../src/data/templates.js";
import { goTemplateText, modelfileText } from "../../../src/formats/modelfile.js";
import { readText } from "../../../src/formats/strictJson.js";
import { ollamaTemplate } from "../../../src/recipes/ollamaTemplate.js";
import { executeGoTemplate, readModelfile } from "../../support/ollamaReader.js";
import { expectThat, type FuzzedFormat } from "../format.js";

const names = { template: "template.txt", stop: "stop.txt", from: "from.txt" };
const seed = (template: string, stop: string, from: string) =>
  new Map([
    [names.template, Buffer.from(template)],
    [names.stop, Buffer.from(stop)],
    [names.from, Buffer.from(from)],
  ]);

/** What Ollama makes of a file that holds a stranger's texts: nothing in them may end the value that they stand in. */
export const modelfile: FuzzedFormat = {
  name: "modelfile",
  seeds: () => [
    seed("Q: {prompt}\nA: {completion}\n", "<end_of_turn>", "./model.gguf"),
    seed("<start_of_turn>user\n{prompt}<end_of_turn>\n{completion}", 'say "no"\n', "gemma:2b"),
    seed('{{"a"}}\\ {prompt}{completion}', "a", "./a b.gguf"),
  ],
  read(folder) {
    const text = (name: string) => readText(join(folder, name));
    const [source, word, from] = [text(names.template), text(names.stop), text(names.from)];
    const literal = goTemplateText(source);
    expectThat(
      executeGoTemplate(literal, { Prompt: "", Response: "" }) === source,
      "the same literal text",
    );
    const template = parseTemplate(source);
    const { template: go, stop } = ollamaTemplate(template);
    const stops = [...stop, word];
    const [first, second, ...others] = readModelfile(
      modelfileText({ from, template: go, stop: stops }),
    );
    expectThat(first?.name === "FROM" && first.value === from, "the model");
    expectThat(second?.name === "TEMPLATE" && second.value === go, "the template");
    expectThat(
      others.length === stops.length &&
        others.every(({ name, value }, i) => name === "stop" && value === stops[i]),
      "the stop words, and nothing else",
    );
    const given = "{{ .Prompt }} {{ .Response }}";
    const expected = template.prompt.flatMap((part) => {
      // Fields that a prompt may have besides are not there.
      if ("when" in part) return [];
      return ["field" in part ? given : "piece" in part ? part.piece : part.text];
    });
    const made = executeGoTemplate(go, { Prompt: given, Response: "" });
    expectThat(made.startsWith(expected.join("")), "the prompt of training");
  },
};
