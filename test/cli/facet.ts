import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const fixture = (path: string) => join(root, "test", "fixtures", path);

/** How Node.js is told to run the command line: as built if the build is newer than every source, else through tsx. */
const program = (() => {
  const changed = (path: string) => statSync(path).mtimeMs;
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const newest = Math.max(...sources.map((path) => changed(join(root, "src", path))));
  const built = join(root, "dist", "cli", "main.js");
  if (existsSync(built) && changed(built) > newest) return [built];
  return ["--import", import.meta.resolve("tsx"), join(root, "src", "cli", "main.ts")];
})();

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  /** Resolves when stderr has this text. */
  readonly says: (text: string) => Promise<void>;
  readonly ended: Promise<Ended>;
}

/** Starts the command line as its user would, in `cwd`, with `input` on stdin. */
export function startFacet(args: readonly string[], cwd: string, input = ""): Running {
  const env = { ...process.env, FACET_HOME: join(cwd, ".facet") };
  const child = spawn(process.execPath, [...program, ...args], { cwd, env });
  child.stdin.end(input);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => stderr.includes(text) && resolve();
      child.stderr.on("data", look);
      child.on("close", () => reject(new Error(`It never said "${text}":\n${stderr}`)));
      look();
    });
  return { process: child, says, ended };
}

export const runFacet = (args: readonly string[], cwd: string, input = ""): Promise<Ended> =>
  startFacet(args, cwd, input).ended;

/**
 * A folder, removed after the tests of a file, with the model `tiny` (a Gemma 1 of 3 layers that
 * takes 256 tokens) and `rows.jsonl`, 40 rows in Dolly's schema of which 10 have a context.
 */
export function workFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "facet-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of ["config.json", "model.safetensors"]) {
    cpSync(fixture(`gemma1_tiny/${file}`), join(folder, "tiny", file));
  }
  cpSync(fixture("tok512/tokenizer.model"), join(folder, "tiny", "tokenizer.model"));
  cpSync(fixture("gemma1_tiny/peft_qv"), join(folder, "peft"), { recursive: true });
  const rows = Array.from({ length: 40 }, (_, i) => ({
    instruction: `How many is ${i} and ${i + 1}?`,
    context: i % 4 === 0 ? "Numbers can be added." : "",
    response: `It is ${2 * i + 1}, of course.`,
    category: "open_qa",
  }));
  writeRows(join(folder, "rows.jsonl"), rows);
  return folder;
}

export function writeRows(path: string, rows: readonly unknown[]): void {
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}
