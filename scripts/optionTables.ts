/** `npm run docs`: writes the tables of docs/options.md from the schemas of the options. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { withTables } from "./optionTable.js";

const page = fileURLToPath(new URL("../docs/options.md", import.meta.url));
writeFileSync(page, withTables(readFileSync(page, "utf8")));
