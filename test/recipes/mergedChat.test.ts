import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readGguf } from "../../src/formats/gguf/readGguf.js";
import { openModel } from "../../src/hub/openModel.js";
import { families } from "../../src/models/gemma/family.js";
import { exportAdapter } from "../../src/recipes/exportAdapter.js";
import { fixture } from "../support/modelFolder.js";
import { engine } from "../support/referenceGemma.js";
import { tinyFamilyFolder } from "../support/tinyFamilies.js";

// What a merged model's files say about how it is prompted: the way that it was trained.

const place = mkdtempSync(join(tmpdir(), "facet-merged-chat-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const at = (...names: string[]) => join(place, ...names);
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8"));

/** The folder of a run that was trained with a template; `more` is what run.json says besides. */
function run(name: string, template: string, more: object = {}): string {
  cpSync(fixture("gemma1_tiny/peft_qv"), at(name, "adapter"), { recursive: true });
  writeFileSync(at(name, "run.json"), JSON.stringify({ data: { template }, ...more }));
  return at(name, "adapter");
}

let made = 0;
async function merged(adapter: string, model: string, to: "merged" | "merged-gguf" = "merged") {
  const out = `out-${++made}${to === "merged" ? "" : ".gguf"}`;
  await exportAdapter({ adapter, model: at(model), to, out: at(out), verify: false }, engine);
  return out;
}

const template = families.gemma.chatTemplate;
let chat: string;
let tutorial: string;

beforeAll(() => {
  process.env.FACET_HOME = at("home");
  tinyFamilyFolder("gemma1_tiny", at("plain"));
  chat = run("chat", "gemma-chat");
  tutorial = run("tutorial", "tutorial");
});

test("trained with gemma-chat on a base without a chat template, it has its family's", async () => {
  const out = await merged(chat, "plain");
  expect(readFileSync(at(out, "chat_template.jinja"), "utf8")).toBe(template);
  expect(json(out, "tokenizer_config.json").chat_template).toBe(template);
  const { chatTemplate, tokenizer, stopIds } = await openModel(at(out));
  const endOfTurn = tokenizer!.pieceToId("<end_of_turn>")!;
  expect({ chatTemplate, stopIds }).toEqual({ chatTemplate: template, stopIds: [1, endOfTurn] });
  expect(json(out, "generation_config.json").eos_token_id).toEqual([1, endOfTurn]);
});

test("as GGUF it has it in its metadata", async () => {
  const { metadata } = readGguf(at(await merged(chat, "plain", "merged-gguf")));
  expect(metadata.get("tokenizer.chat_template")?.value).toBe(template);
});

test("the base's own files get it, and keep everything else", async () => {
  tinyFamilyFolder("gemma1_tiny", at("settings"));
  const settings = { tokenizer_class: "GemmaTokenizer", model_max_length: 99 };
  writeFileSync(at("settings", "tokenizer_config.json"), JSON.stringify(settings));
  const generation = { eos_token_id: 1, temperature: 0.7 };
  writeFileSync(at("settings", "generation_config.json"), JSON.stringify(generation));
  const out = await merged(chat, "settings");
  expect(json(out, "tokenizer_config.json")).toEqual({ ...settings, chat_template: template });
  expect(json(out, "generation_config.json")).toEqual({
    ...generation,
    eos_token_id: [1, (await openModel(at(out))).tokenizer!.pieceToId("<end_of_turn>")],
  });
});

test("a base that has a chat template keeps it, byte for byte", async () => {
  tinyFamilyFolder("gemma1_tiny", at("own"));
  const own = JSON.stringify({ chat_template: "{{ bos_token }}{{ messages[0].content }}" });
  writeFileSync(at("own", "tokenizer_config.json"), own);
  const out = await merged(chat, "own");
  expect(readFileSync(at(out, "tokenizer_config.json"), "utf8")).toBe(own);
  expect((await openModel(at(out))).chatTemplate).toBe("{{ bos_token }}{{ messages[0].content }}");
});

test("trained with the user's own chat template, it has that one, even instead of the base's", async () => {
  const source = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
  const sha256 = createHash("sha256").update(source).digest("hex");
  const file = at("mine.jinja");
  writeFileSync(file, source);
  const said = { config: { template: file }, digests: { template: sha256 } };
  const mine = run("mine", "mine.jinja", said);
  expect((await openModel(at(await merged(mine, "own")))).chatTemplate).toBe(source);
  const inline = `jinja:${source}`;
  const other = run("inline", inline, { ...said, config: { template: inline } });
  expect((await openModel(at(await merged(other, "plain")))).chatTemplate).toBe(source);

  writeFileSync(file, `${source} `);
  const out = at("changed");
  const options = { model: at("own"), to: "merged", out, verify: false } as const;
  const { warnings } = await exportAdapter({ adapter: mine, ...options }, engine);
  expect(warnings).toEqual([
    expect.stringMatching(
      /trained with the template mine\.jinja, which is not there any more as it was: the merged model carries that of own/,
    ),
  ]);
  expect((await openModel(out)).chatTemplate).not.toBe(source);
});

test("a template of fields is no chat template, in whatever language", async () => {
  const source = "{{ prompt }}: {{ completion }}";
  const sha256 = createHash("sha256").update(source).digest("hex");
  const said = { config: { template: `jinja:${source}` }, digests: { template: sha256 } };
  const out = await merged(run("fields", `jinja:${source}`, said), "plain");
  expect(existsSync(at(out, "chat_template.jinja"))).toBe(false);
});

test("trained with another template, or nobody knows how, it gets none", async () => {
  mkdirSync(at("alone"));
  cpSync(fixture("gemma1_tiny/peft_qv"), at("alone", "deep", "adapter"), { recursive: true });
  for (const adapter of [tutorial, at("alone", "deep", "adapter")]) {
    const out = await merged(adapter, "plain");
    expect(existsSync(at(out, "chat_template.jinja"))).toBe(false);
    expect(json(out, "tokenizer_config.json").chat_template).toBeUndefined();
  }
});
