import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { FacetError } from "../src/errors.js";
import { createRandom } from "../src/random.js";
import type { Bench, Case } from "./case.js";
import { openChild } from "./childProcess.js";
import { cacheFolder, sharedPaths } from "./places.js";
import { type AnyRow, type Row, round } from "./row.js";
import { median, statistics } from "./statistics.js";

/** Text to ids, rows to examples, and what passes before the first token. */
export const dataCases: Readonly<Record<string, Case>> = {
  copy: async (bench) => [await copyRow(bench)],
  tokenizer: tokenizerRows,
  "start-up": startUp,
  "million-rows": millionRows,
};

async function copyRow({ threads, runs = 10 }: Bench): Promise<Row> {
  const [all, one] = [openChild("copy", { threads }), openChild("copy", { threads: 1 })];
  try {
    const [speeds, alone]: [number[], number[]] = [[], []];
    for (let i = 0; i < runs; i++) {
      speeds.push((await all.run()) / 1e9);
      alone.push((await one.run()) / 1e9);
    }
    return {
      ...{ name: "copy", unit: "GB/s, read and written" },
      ...statistics(speeds),
      ratio: { value: median(speeds) / median(alone), of: "one thread" },
      facts: { threads },
    };
  } finally {
    for (const child of [all, one]) await child.close();
  }
}

async function tokenizerRows({ runs = 5 }: Bench): Promise<AnyRow[]> {
  const { gemmaTokenizer: tokenizer, dolly: data } = sharedPaths;
  const missing = [tokenizer, data].find((path) => !existsSync(path));
  if (missing !== undefined) return [{ name: "tokenizer", skipped: `there is no ${missing}` }];
  const child = openChild("tokenizer", { tokenizer, data });
  try {
    await child.run();
    const samples = [];
    for (let i = 0; i < runs; i++) samples.push(await child.run());
    const rates = statistics(samples.map(({ rate }) => rate / 1e6));
    const parseRate = median(samples.map((sample) => sample.parseRate)) / 1e6;
    const ready = statistics(samples.map(({ readyMs }) => readyMs));
    const made = median(samples.map(({ madeMs }) => madeMs));
    const { bytes, tokens } = samples[0]!;
    return [
      {
        ...{ name: "tokenizer", unit: "MB/s, one thread" },
        ...rates,
        ratio: { value: rates.median / parseRate, of: `JSON.parse at ${round(parseRate)} MB/s` },
        facts: { text: "Dolly", MB: round(bytes / 1e6), tokens },
      },
      {
        ...{ name: "vocabulary", unit: "ms until ready" },
        ...ready,
        ratio: { value: ready.median / made, of: `${round(made)} ms without the kept tables` },
        facts: { pieces: 256_000 },
      },
    ];
  } finally {
    await child.close();
  }
}

const built = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const notBuilt = "Facet is not built: npm run build";

interface Ended {
  /** Milliseconds until something was written to stdout, and until the end. */
  readonly first: number;
  readonly all: number;
  readonly peakKiB: number;
}

/** Runs Node.js and says how long it took. Throws a FacetError with what it wrote when it fails. */
async function timed(args: readonly string[]): Promise<Ended> {
  const began = performance.now();
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let first: number | undefined;
  let peakKiB = 0;
  const look = setInterval(() => {
    const status = existsSync(`/proc/${child.pid}/status`)
      ? readFileSync(`/proc/${child.pid}/status`, "utf8")
      : "";
    peakKiB = Math.max(peakKiB, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0));
  }, 50);
  child.stdout.on("data", () => {
    first ??= performance.now() - began;
  });
  const stderr = text(child.stderr);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearInterval(look);
  if (code !== 0) throw new FacetError(`node ${args.join(" ")} failed: ${await stderr}`);
  const all = performance.now() - began;
  return { first: first ?? all, all, peakKiB };
}

/** From the start of the process to the first token of the built-in model. */
async function startUp({ runs = 10 }: Bench): Promise<AnyRow[]> {
  if (!existsSync(built)) return [{ name: "start-up", skipped: notBuilt }];
  const options = ["--model", "facet_nano_en", "--prompt", "The sea is", "--max-length", "16"];
  const [node, facet]: [number[], number[]] = [[], []];
  for (let i = 0; i <= runs; i++) {
    const empty = await timed(["-e", "console.log(1)"]);
    const whole = await timed([built, "generate", ...options]);
    // The first run reads files that later ones find in memory.
    if (i > 0) node.push(empty.first);
    if (i > 0) facet.push(whole.first);
  }
  const own = statistics(facet.map((ms, i) => ms - node[i]!));
  return [
    {
      ...{ name: "start-up", unit: "ms to the first token, after Node.js's own start" },
      ...own,
      ratio: {
        value: own.median / median(node),
        of: `Node.js's start at ${round(median(node))} ms`,
      },
      facts: { model: "facet_nano_en" },
    },
  ];
}

const million = 1_000_000;

/** Prepares data as `facet finetune` does before its first step. In the built product, whose threads are JavaScript files. */
const prepare = `
  const [dist, tokenizer, data, folder] = process.argv.slice(1);
  const { loadDataset } = await import(dist + "data/dataset.js");
  const { loadSentencePiece } = await import(dist + "tokenizers/sentencePiece.js");
  const { train } = await loadDataset({
    sets: [[data]],
    tokenizer: loadSentencePiece(tokenizer, folder),
    sequenceLength: 512,
    spill: { folder, bytes: 2 ** 28 },
    cache: folder,
  });
  console.log(train.report.kept);
`;

/** A million rows until they are ready to train on; and once more, from what was kept. */
async function millionRows({ runs = 1 }: Bench): Promise<AnyRow[]> {
  const name = "million-rows";
  const { gemmaTokenizer: tokenizer, dolly } = sharedPaths;
  const missing = [tokenizer, dolly].find((path) => !existsSync(path));
  if (missing !== undefined) return [{ name, skipped: `there is no ${missing}` }];
  if (!existsSync(built)) return [{ name, skipped: notBuilt }];
  const data = join(cacheFolder(), "million.jsonl");
  if (!existsSync(data)) await writeMillion(data, dolly);
  const [first, again]: [Ended[], Ended[]] = [[], []];
  for (let i = 0; i < runs; i++) {
    const home = mkdtempSync(join(tmpdir(), "facet-bench-"));
    try {
      const dist = new URL("../dist/", import.meta.url).href;
      const code = ["--input-type=module", "-e", prepare];
      const run = () => timed([...code, dist, tokenizer, data, home]);
      first.push(await run());
      again.push(await run());
    } finally {
      rmSync(home, { recursive: true });
    }
  }
  const seconds = (ended: readonly Ended[]) => statistics(ended.map(({ all }) => all / 1000));
  const peak = (ended: readonly Ended[]) =>
    Math.round(Math.max(...ended.map(({ peakKiB }) => peakKiB)) / 1024);
  const bytes = statSync(data).size;
  const [one, two] = [seconds(first), seconds(again)];
  const file = { MB: round(bytes / 1e6) };
  return [
    {
      ...{ name: `${name}, first time`, unit: "s", ...one },
      ratio: { value: one.median / two.median, of: "the second time" },
      facts: { ...file, "MB/s": round(bytes / 1e6 / one.median), "peak MiB": peak(first) },
    },
    {
      ...{ name: `${name}, again`, unit: "s", ...two },
      ratio: { value: two.median / one.median, of: "the first time" },
      facts: { ...file, "MB/s": round(bytes / 1e6 / two.median), "peak MiB": peak(again) },
    },
  ];
}

/** Rows that each mix the fields of several of Dolly's. */
async function writeMillion(path: string, dolly: string): Promise<void> {
  const rows = readFileSync(dolly, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, string>);
  const random = createRandom({ seed: 7, stream: "order" });
  const any = (field: string) => rows[random.below(rows.length)]![field];
  const out = createWriteStream(path);
  const fields = ["instruction", "context", "response", "category"];
  for (let i = 0; i < million; i++) {
    const row = Object.fromEntries(fields.map((field) => [field, any(field)]));
    if (out.write(`${JSON.stringify(row)}\n`)) continue;
    await once(out, "drain");
  }
  out.end();
  await finished(out);
}
