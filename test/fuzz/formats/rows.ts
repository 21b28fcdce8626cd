import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jsonLineRow } from "../../../src/data/jsonLines.js";
import { chooseTemplate, render } from "../../../src/data/templates.js";
import { unreadable } from "../../../src/data/unreadable.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import { fileOf } from "../tinyModel.js";

const file = "data.jsonl";

export const jsonLines: FuzzedFormat = {
  name: "json-lines",
  seeds: () => {
    const dolly = { instruction: "a", context: "", response: "b", category: "open_qa" };
    const rows = [
      [dolly, { ...dolly, context: "é\n{x}" }],
      [{ text: "a" }, { text: "👍" }, { text: "b", n: 5, list: [1, { a: null }] }],
      [{ prompt: "<start_of_turn>", completion: "c" }],
    ];
    return rows.map((list) => fileOf(file, list.map((row) => JSON.stringify(row)).join("\n")));
  },
  read(folder) {
    const rows = read(join(folder, file))
      .split("\n")
      .flatMap((text, i) => (text.trim() === "" ? [] : [jsonLineRow(text, file, i + 1)]));
    if (rows.length === 0) return;
    const template = chooseTemplate(undefined, rows);
    for (const { fields, line } of rows) {
      expectThat(
        line > 0 && Object.values(fields).every((text) => typeof text === "string"),
        "text",
      );
      if (!template.fields.every((field) => Object.hasOwn(fields, field))) continue;
      expectThat(render(template, fields, "all").length > 0, "segments");
    }
  },
};

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
