/** `npm run docs:curve -- <run folder> <file.svg>`: draws the losses in a run's metrics.jsonl, as its report does. */

import { writeFileSync } from "node:fs";
import { readJsonLines, runPaths } from "../src/recipes/runFolder.js";
import { lossCurve } from "../src/report/lossCurve.js";

const [run, file] = process.argv.slice(2);
if (run === undefined || file === undefined) {
  throw new Error("give a run folder and the SVG file to write");
}
const lines = readJsonLines(runPaths(run).metrics);
const points = (key: string) =>
  lines.flatMap((line) => {
    const loss: unknown = Object.entries(line).find(([name]) => name === key)?.[1];
    return typeof loss === "number" ? [{ step: line.step, loss }] : [];
  });
const options = { validation: points("held_out_loss"), width: 640, height: 260 };
// On a page the text takes the page's colour; alone, one that is legible on white and on black.
const svg = lossCurve(points("loss"), options).replace('fill="currentColor"', 'color="#6b7480" $&');
writeFileSync(file, `${svg}\n`);
