import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { dataRows } from "../../src/data/dataFiles.js";
import { FacetError } from "../../src/errors.js";
import { createRandom } from "../../src/random.js";
import { happens, pick } from "./chance.js";
import { mutate } from "./mutate.js";

/** Data files are read as streams, from a real folder: what `campaign.ts` does with files in memory is not for them. */
const people = [
  { prompt: "Who?", completion: "I, “é” 👍" },
  { prompt: "a\nb", completion: 'say "x", please' },
  { prompt: "", completion: "third" },
];
const csv = 'prompt,completion\nWho?,"I, “é” 👍"\n"a\nb","say ""x"", please"\n,third\n';
const columns = {
  prompt: people.map((row) => row.prompt),
  completion: people.map((row) => row.completion),
};
const parquet = (codec: "SNAPPY" | "UNCOMPRESSED") =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: Object.entries(columns).map(([name, data]) => ({ name, data, type: "STRING" })),
      codec,
    }),
  );

/** Whole files by the name under which they are read. */
const seeds: Record<string, () => [string, Uint8Array][]> = {
  json: () =>
    [
      JSON.stringify(people),
      JSON.stringify({ data: people }, null, 1),
      JSON.stringify(columns),
    ].map((text) => ["a.json", Buffer.from(text)]),
  csv: () => [
    ["a.csv", Buffer.from(csv)],
    ["a.tsv", Buffer.from(csv.replaceAll(",", "\t"))],
  ],
  parquet: () => [
    ["a.parquet", parquet("SNAPPY")],
    ["a.parquet", parquet("UNCOMPRESSED")],
  ],
  gzip: () => [["a.jsonl.gz", gzipSync(people.map((row) => JSON.stringify(row)).join("\n"))]],
};
export const dataFileFormats = Object.keys(seeds);

export interface DataFileResult {
  readonly accepted: number;
  readonly findings: readonly { readonly number: number; readonly message: string }[];
}

/** Reads mutated files; any error but a FacetError, and half a second for a case four times in a row, is a finding. */
export async function fuzzDataFiles(
  format: string,
  options: { readonly seed: number; readonly cases: number; progress?(done: number): void },
): Promise<DataFileResult> {
  const inputs = seeds[format]!();
  const folder = mkdtempSync(join(tmpdir(), "facet-fuzz-"));
  const random = createRandom({ seed: options.seed, stream: "init" });
  const findings: { number: number; message: string }[] = [];
  let accepted = 0;
  const attempt = async (path: string) => {
    const start = performance.now();
    try {
      for await (const { fields } of dataRows([path])) {
        if (Object.values(fields).some((text) => typeof text !== "string")) throw new Error("text");
      }
      accepted += 1;
    } catch (error) {
      if (!(error instanceof FacetError)) return (error as Error).stack ?? String(error);
    }
    return performance.now() - start > 500 ? "slow" : undefined;
  };
  for (let number = 0; number < options.cases && findings.length < 20; number++) {
    const [name, bytes] = pick(random, inputs);
    let files = mutate(
      new Map([[name, bytes]]),
      inputs.map((each) => new Map([each])),
      random,
    );
    while (happens(random, 3)) files = mutate(files, [files], random);
    const path = join(folder, name);
    writeFileSync(path, files.get(name) ?? new Uint8Array());
    let message = await attempt(path);
    for (let i = 0; i < 3 && message === "slow"; i++) message = await attempt(path);
    if (message !== undefined) {
      writeFileSync(join(tmpdir(), `facet-finding-${format}-${number}-${name}`), files.get(name)!);
      findings.push({ number, message });
    }
    if (number % 10_000 === 0) options.progress?.(number);
  }
  rmSync(folder, { recursive: true });
  return { accepted, findings };
}
