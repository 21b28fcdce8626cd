import { statfsSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import { FacetError } from "../errors.js";
import { input, matmul, program } from "../graph/index.js";
import { type Credentials, huggingFaceCredentials, kaggleCredentials } from "../hub/credentials.js";
import { presetOnThisMachine } from "../hub/locate.js";
import { facetHome, huggingFaceCache, kaggleCache } from "../hub/places.js";
import { presets } from "../hub/presets.js";
import { availableMemory, gib } from "../runtime/memory.js";
import { openEngine } from "./engine.js";

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Whether Facet cannot work without it. */
  readonly required: boolean;
  readonly detail: string;
}

/** Everything `facet doctor` looks at, in the order in which it is shown. */
export async function runChecks(): Promise<Check[]> {
  return [
    checkNode(process.versions.node),
    fact("Platform", `${platform()} ${release()}, ${arch()}`),
    fact("Processor", `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} cores usable`),
    fact("Memory", `${gib(availableMemory())} free of ${gib(totalmem())}`),
    await checkCpuEngine(),
    ...(await otherProviders()),
    checkDisk(process.cwd()),
    fact("Facet's own files", facetHome()),
    fact("Hugging Face's files", huggingFaceCache()),
    fact("Kaggle's files", kaggleCache()),
    checkCredentials("Hugging Face token", huggingFaceCredentials),
    checkCredentials("Kaggle credentials", kaggleCredentials),
    ...(await checkPresets()),
  ];
}

const fact = (name: string, detail: string): Check => ({ name, ok: true, required: false, detail });

/** Facet needs Node 20.19 or later: the first that loads the modules of its dependencies. */
export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  const detail = ok ? version : `${version}; Facet needs 20.19 or later`;
  return { name: "Node.js", ok, required: true, detail };
}

/** Runs [[1, 2], [3, 4]] × [[5, 6], [7, 8]] through the whole engine. */
async function checkCpuEngine(): Promise<Check> {
  const name = "Engine onnx, CPU";
  try {
    const engine = await openEngine({});
    const [a, b] = [input("a", [2, 2]), input("b", [2, 2])];
    const executable = await engine.compile(program({ product: matmul(a, b) }));
    const { product } = await executable.run({
      a: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] },
      b: { data: Float32Array.of(5, 6, 7, 8), shape: [2, 2] },
    });
    await executable.close();
    const result = [...product!.data].join(" ");
    const ok = result === "19 22 43 50";
    const detail = ok ? "a small program gave the right result" : `wrong result: ${result}`;
    return { name, ok, required: true, detail };
  } catch (error) {
    return { name, ok: false, required: true, detail: messageOf(error) };
  }
}

/** What else ONNX Runtime could run on here. Facet's programs run on the CPU only, so far. */
async function otherProviders(): Promise<Check[]> {
  let present: readonly string[];
  try {
    const { listSupportedBackends } = await import("onnxruntime-node");
    present = listSupportedBackends().flatMap(({ name, bundled }) => (bundled ? [name] : []));
  } catch {
    return [];
  }
  return ["webgpu", "cuda", "dml", "coreml"].map((provider) => ({
    name: `Engine onnx, ${provider}`,
    ok: false,
    required: false,
    detail: present.includes(provider)
      ? "in this ONNX Runtime, but this version of Facet computes on the CPU only"
      : `not in the ONNX Runtime for ${platform()} that is installed, and not used by this version of Facet`,
  }));
}

function checkDisk(folder: string): Check {
  const { bavail, bsize } = statfsSync(folder);
  const bytes = bavail * bsize;
  const ok = bytes > 2 ** 30;
  const detail = `${gib(bytes)} free in ${folder}${ok ? "" : "; checkpoints may not fit"}`;
  return { name: "Disk", ok, required: false, detail };
}

/** Says where credentials are, never what they are. */
function checkCredentials(name: string, find: () => Credentials | undefined): Check {
  try {
    const found = find();
    const detail = found === undefined ? "none; gated models need them" : `from ${found.from}`;
    return { name, ok: found !== undefined, required: false, detail };
  } catch (error) {
    if (!(error instanceof FacetError)) throw error;
    return { name, ok: false, required: false, detail: error.message };
  }
}

async function checkPresets(): Promise<Check[]> {
  const checks: Check[] = [];
  const absent: string[] = [];
  for (const preset of Object.keys(presets)) {
    const folder = await presetOnThisMachine(preset);
    if (folder === undefined) absent.push(preset);
    else checks.push(fact(`Preset ${preset}`, folder));
  }
  const detail = `downloaded when first used: ${absent.join(", ")}`;
  return [...checks, { name: "Other presets", ok: false, required: false, detail }];
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
