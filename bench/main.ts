/** `npm run bench`: measures what docs/benchmarks.md describes. */

import { parseArgs } from "node:util";
import { FacetError, unknownName } from "../src/errors.js";
import { writeFileAtomic } from "../src/formats/atomicFile.js";
import { cases } from "./cases.js";
import { openCeiling } from "./ceiling.js";
import { conditions } from "./machine.js";
import { runProgram } from "./program.js";
import type { AnyRow } from "./row.js";
import { fillMarkdown, toMarkdown } from "./table.js";

const help = `npm run bench -- [options]
  --only NAME,...   only these cases: ${Object.keys(cases).join(", ")}
  --threads N       threads of the engine (default 2)
  --runs N          measured runs of each case, instead of the case's own number
  --model M         preset or folder for dolly-nano and javascript (default facet_nano_en)
  --json            one JSON document instead of a Markdown table
  --report FILE     also put the table between the marks in FILE, a Markdown file, and the JSON document beside it
`;

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  const threads = count("threads", options.threads) ?? 2;
  const runs = count("runs", options.runs);
  const chosen = choose(options.only);
  const started = conditions(threads);
  const ceiling = openCeiling(threads);
  const rows: AnyRow[] = [];
  try {
    for (const name of chosen) {
      process.stderr.write(`${name} …\n`);
      const bench = { threads, runs, model: options.model, ceiling };
      rows.push(...(await cases[name]!(bench).catch((error) => failed(name, error))));
    }
  } finally {
    await ceiling.close();
  }
  const markdown = toMarkdown(started, rows);
  const json = JSON.stringify({ ...started, rows }, null, 2);
  process.stdout.write(`${options.json ? json : markdown}\n`);
  if (options.report !== undefined) {
    fillMarkdown(options.report, markdown);
    writeFileAtomic(`${options.report.replace(/\.md$/, "")}.json`, `${json}\n`);
  }
  if (rows.some((row) => "correct" in row && !row.correct)) process.exitCode = 1;
}

/** A case that fails is told and takes nothing away from the others. */
function failed(name: string, error: unknown): AnyRow[] {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${name} failed: ${reason}\n`);
  process.exitCode = 1;
  return [{ name, skipped: `it failed: ${reason.split("\n").at(-1)!}` }];
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        only: { type: "string" },
        threads: { type: "string" },
        runs: { type: "string" },
        model: { type: "string", default: "facet_nano_en" },
        json: { type: "boolean", default: false },
        report: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new FacetError(`${(error as Error).message}\n${help}`);
  }
}

function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new FacetError(`--${name} must be a whole number from 1, not "${text}".`);
}

/** In the order of the table, whatever the order they were asked in. */
function choose(only: string | undefined): string[] {
  const known = Object.keys(cases);
  if (only === undefined) return known;
  const wanted = only.split(",").map((name) => name.trim());
  for (const name of wanted) if (!known.includes(name)) throw unknownName("case", name, known);
  return known.filter((name) => wanted.includes(name));
}

await runProgram(main);
