import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";
import { fixture } from "../support/modelFolder.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const tokenizer = loadSentencePiece(fixture("tok512/tokenizer.model"));
const chat = (input: string, ...args: string[]) =>
  runFacet(["chat", "--model", "tiny", "--max-tokens", "8", ...args], folder, input);
const contents = (stdout: string) =>
  (JSON.parse(stdout).messages as { content: string }[]).map((message) => message.content);

describe.concurrent("facet chat", () => {
  it("answers the messages of a pipe, and prints the conversation as JSON", async () => {
    const { code, stdout } = await chat("One?\n\nTwo?\n", "--json");
    expect(code).toBe(0);
    const { model, messages } = JSON.parse(stdout);
    expect(model).toBe("tiny");
    expect(messages.map((message: { role: string }) => message.role)).toEqual([
      "user",
      "model",
      "user",
      "model",
    ]);
    expect([messages[0].content, messages[2].content]).toEqual(["One?", "Two?"]);
  });

  it("streams nothing but answers to stdout", async () => {
    const [, answer] = contents((await chat("One?\n", "--json")).stdout);
    const { stdout, stderr } = await chat("One?\n");
    expect(stdout).toBe(`${answer}\n`);
    expect(stderr).toBe("");
  });

  it("takes each message alone with the tutorial's template", async () => {
    const both = contents((await chat("One?\nTwo?\n", "--json")).stdout);
    const second = contents((await chat("Two?\n", "--json")).stdout);
    expect(both[3]).toBe(second[1]);
  });

  it("takes a Jinja template that renders messages, and no other", async () => {
    const source = `{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`;
    writeFileSync(join(folder, "lines.jinja"), source);
    writeFileSync(join(folder, "rows.jinja"), "{{ question }} {{ answer }}");
    const jinja = contents(
      (await chat("One?\nTwo?\n", "--template", "lines.jinja", "--json")).stdout,
    );
    const second = contents((await chat("Two?\n", "--template", "lines.jinja", "--json")).stdout);
    expect(jinja).toHaveLength(4);
    expect(jinja[3]).not.toBe(second[1]);
    const { code, stderr } = await chat("One?\n", "--template", "rows.jinja");
    expect(code).toBe(1);
    expect(stderr).toContain("error: The template rows.jinja is for the fields of a row.");
  });

  it("remembers the conversation with gemma-chat until /reset", async () => {
    const gemma = ["--template", "gemma-chat", "--json"];
    const both = contents((await chat("One?\nTwo?\n", ...gemma)).stdout);
    const second = contents((await chat("Two?\n", ...gemma)).stdout);
    const reset = contents((await chat("One?\n/reset\nTwo?\n", ...gemma)).stdout);
    expect(both[3]).not.toBe(second[1]);
    expect(reset[3]).toBe(second[1]);
  });

  it("takes a repetition penalty, below 1 to repeat more", async () => {
    const plain = contents((await chat("One?\n", "--json")).stdout);
    const { code, stdout } = await chat("One?\n", "--json", "--repetition-penalty", "0.01");
    expect(code).toBe(0);
    expect(contents(stdout)[1]).not.toBe(plain[1]);
  });

  it("leaves at /exit and names unknown commands", async () => {
    const { stdout, stderr } = await chat("/rest\n/exit\nOne?\n", "--json");
    expect(contents(stdout)).toEqual([]);
    expect(stderr).toContain("Unknown command /rest. Known: /reset, /exit.");
  });

  it("switches between adapters, and to the model alone", async () => {
    const all = fixture("gemma1_tiny/peft_all");
    const input = `One?\n/adapter none\nOne?\n/adapter ${all}\nOne?\n/adapter pfet\n`;
    const { stdout, stderr } = await chat(input, "--adapter", "peft", "--adapter", all, "--json");
    const answers = contents(stdout).filter((_, i) => i % 2 === 1);
    for (const [i, args] of [["--adapter", "peft"], [], ["--adapter", all]].entries()) {
      expect(answers[i]).toBe(contents((await chat("One?\n", "--json", ...args)).stdout)[1]);
    }
    expect(stderr).toContain("(the model alone)\n");
    expect(stderr).toContain(`(${all} is on the model)\n`);
    expect(stderr).toContain('Unknown adapter "pfet". Did you mean "peft"?');
  });

  it("says when the conversation is too long, and goes on", async () => {
    const { code, stdout, stderr } = await chat(`${"x ".repeat(300)}\nTwo?\n`, "--json");
    expect(code).toBe(0);
    expect(stderr).toMatch(/error: The conversation has \d+ tokens; tiny takes 256\. Type \/reset/);
    expect(contents(stdout)[0]).toBe("Two?");
  });

  it("follows the chat template of the model's files, and its stop tokens", async () => {
    cpSync(join(folder, "tiny"), join(folder, "own"), { recursive: true });
    const template =
      "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    writeFileSync(join(folder, "own", "chat_template.jinja"), template);
    const own = (input: string, ...args: string[]) =>
      runFacet(["chat", "--model", "own", "--max-tokens", "8", "--json", ...args], folder, input);
    const prompt = "system: Be brief.\nuser: One?\n";
    const generated = await runFacet(
      ["generate", "--model", "tiny", "--max-length", "256", "--prompt", prompt, "--json"],
      folder,
    );
    const { stdout } = await own("One?\n", "--system", "Be brief.");
    const answer = contents(stdout)[1]!;
    expect(answer.length).toBeGreaterThan(0);
    expect(JSON.parse(generated.stdout).completion.startsWith(answer)).toBe(true);

    const first = tokenizer.encode(answer)[0]!;
    const stops = JSON.stringify({ eos_token_id: [1, first] });
    writeFileSync(join(folder, "own", "generation_config.json"), stops);
    expect(contents((await own("One?\n", "--system", "Be brief.")).stdout)[1]).toBe("");
  });

  it("says where a system's text has no place", async () => {
    const tutorial = await chat("One?\n", "--system", "Be brief.");
    expect(tutorial.stderr).toContain("--system needs a chat template");
    const gemma1 = await chat("One?\n", "--system", "Be brief.", "--template", "gemma-chat");
    expect(gemma1.stderr).toContain('Gemma 1 and 2 have no role "system"');
  });

  it("refuses an unknown template", async () => {
    const { code, stderr } = await chat("", "--template", "gema-chat");
    expect(code).toBe(1);
    expect(stderr).toContain('error: Unknown template "gema-chat". Did you mean "gemma-chat"?');
  });
});
