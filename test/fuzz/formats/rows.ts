import { join } from "node:path";
import { readRows } from "../../../src/data/rows.js";
import { chooseTemplate, render } from "../../../src/data/templates.js";
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
    const rows = readRows(join(folder, file));
    expectThat(rows.length > 0, "rows");
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
