import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz } from "./campaign.js";
import { watchCoverage } from "./coverage.js";
import { formats } from "./formats.js";
import { saveCase } from "./savedCases.js";
import { watchdog } from "./watchdog.js";

// npm run fuzz -- --format gguf --cases 1000000 --seed 1 [--log results.jsonl]
const { values } = parseArgs({
  options: {
    format: { type: "string", multiple: true },
    cases: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    log: { type: "string" },
  },
});
const cases = Number(values.cases);
const seed = Number(values.seed);
if (!Number.isSafeInteger(cases) || !Number.isSafeInteger(seed)) {
  throw new Error("--cases and --seed are whole numbers");
}
const names = formats.map(({ name }) => name);
const unknown = values.format?.find((name) => !names.includes(name));
if (unknown !== undefined) {
  throw new Error(`unknown format ${unknown}; known: ${names.join(", ")}`);
}
const chosen = formats.filter(({ name }) => values.format?.includes(name) ?? true);
for (const format of chosen) {
  const start = performance.now();
  const hung = join("test/fuzz/regressions", format.name, "hung");
  let next = 0;
  const result = await fuzz(format, {
    ...{ seed, cases, coverage: watchCoverage() },
    watch: watchdog(hung, 30),
    progress(done, corpus) {
      if (done < next) return;
      next = done + cases / 20;
      const seconds = (performance.now() - start) / 1000;
      console.log(`${format.name}: ${done} cases, ${corpus} inputs, ${seconds.toFixed(0)} s`);
    },
  });
  for (const { kind, message, number, files } of result.findings) {
    console.log(`${kind} in case ${number}: ${message}\n  ${saveCase(format.name, files)}`);
    process.exitCode = 1;
  }
  const line = {
    format: format.name,
    ...{ seed, cases, seconds: Math.round((performance.now() - start) / 1000) },
    ...{ accepted: result.accepted, corpus: result.corpus, findings: result.findings.length },
  };
  console.log(JSON.stringify(line));
  if (values.log !== undefined)
    writeFileSync(values.log, `${JSON.stringify(line)}\n`, { flag: "a" });
}
