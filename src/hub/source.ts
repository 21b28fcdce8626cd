import { FacetError } from "../errors.js";

export type RepositoryType = "model" | "dataset";

/** A repository on Hugging Face, such as google/gemma-2b. */
export interface Repository {
  readonly type: RepositoryType;
  readonly name: string;
}

/** A version of a model on Kaggle. */
export interface KaggleModel {
  readonly owner: string;
  readonly model: string;
  readonly framework: string;
  readonly variation: string;
  /** Undefined: the newest. */
  readonly version: number | undefined;
}

/** Where something is to be downloaded from. */
export type Source =
  | {
      readonly kind: "huggingFace";
      readonly repository: Repository;
      /** A branch, a tag or a commit. */
      readonly revision: string;
      /** The one file that is wanted; undefined for what the repository is for. */
      readonly file: string | undefined;
    }
  | { readonly kind: "kaggle"; readonly model: KaggleModel }
  | { readonly kind: "url"; readonly url: URL };

/** As huggingface_hub's validate_repo_id has it. */
const repositoryName = /^[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;

/** `data/rows.jsonl` is a file that somebody mistyped rather than a repository. */
const fileEnding = /\.(gguf|safetensors|h5|json|jsonl|ndjson|csv|tsv|parquet|txt|md|gz|zst)$/i;

const isRepositoryName = (name: string) =>
  repositoryName.test(name) && !name.includes("--") && !name.includes("..");

/**
 * What a name that is nothing on this machine stands for; undefined for one that names no place of any kind. A bare
 * `org/name` is a repository of the given type. Throws a FacetError for an address that is none.
 */
export function parseSource(name: string, type: RepositoryType): Source | undefined {
  if (name.startsWith("hf://")) return fromParts(name.slice(5).split("/"), type, name);
  if (name.startsWith("kaggle://")) {
    return { kind: "kaggle", model: kaggleModel(name.slice(9).split("/"), name) };
  }
  if (/^https?:\/\//.test(name)) return fromUrl(name, type);
  const [repository = "", revision = "main"] = name.split("@", 2);
  if (!isRepositoryName(repository) || fileEnding.test(repository)) return undefined;
  return huggingFace({ type, name: repository }, revision, undefined, name);
}

/** `[models|datasets/]org/name[@revision][/file…]`, with %2F for a slash in the revision. */
function fromParts(parts: readonly string[], type: RepositoryType, given: string): Source {
  const types: Record<string, RepositoryType> = { models: "model", datasets: "dataset" };
  const named = types[parts[0]!];
  const [owner = "", last = "", ...file] = named === undefined ? parts : parts.slice(1);
  const [name, revision = "main"] = last.split("@", 2);
  const repository = { type: named ?? type, name: `${owner}/${name}` };
  return huggingFace(
    repository,
    revision.replaceAll(/%2F/gi, "/"),
    file.join("/") || undefined,
    given,
  );
}

function huggingFace(
  repository: Repository,
  revision: string,
  file: string | undefined,
  given: string,
): Source {
  const wanted = repository.type === "model" ? "hf://org/name" : "hf://datasets/org/name";
  if (!isRepositoryName(repository.name)) {
    throw new FacetError(
      `${given} names no repository of Hugging Face. Write ${wanted}, ${wanted}@revision or ${wanted}/file.`,
    );
  }
  if (!isPlainPath(revision) || (file !== undefined && !isPlainPath(file))) {
    throw new FacetError(`${given} has a revision or a file that cannot be one.`);
  }
  return { kind: "huggingFace", repository, revision, file };
}

/** `owner/model/framework/variation[/version]` */
function kaggleModel(parts: readonly string[], given: string): KaggleModel {
  const [owner, model, framework, variation, version, ...rest] = parts;
  const words = [owner, model, framework, variation];
  const plain = words.every((word) => word !== undefined && /^\w[\w.-]*$/.test(word));
  if (!plain || rest.length > 0 || (version !== undefined && !/^[1-9]\d{0,8}$/.test(version))) {
    throw new FacetError(
      `${given} names no model of Kaggle. Write kaggle://owner/model/framework/variation/version, for example kaggle://keras/gemma/keras/gemma_2b_en/3.`,
    );
  }
  return {
    owner: owner!,
    model: model!,
    framework: framework!,
    variation: variation!,
    version: version === undefined ? undefined : Number(version),
  };
}

/** An address of the web: a page of Hugging Face or Kaggle stands for what it shows. */
function fromUrl(given: string, type: RepositoryType): Source {
  if (!URL.canParse(given)) throw new FacetError(`${given} is not an address of the web.`);
  const url = new URL(given);
  const loopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !loopback) {
    throw new FacetError(`${given} is not encrypted. Give an https:// address.`);
  }
  const parts = decoded(url.pathname, given).split("/").filter(Boolean);
  if (/^(www\.)?kaggle\.com$/.test(url.hostname) && parts[0] === "models") {
    return { kind: "kaggle", model: kaggleModel(parts.slice(1), given) };
  }
  if (/^(huggingface\.co|hf\.co)$/.test(url.hostname)) return fromPage(parts, given);
  return { kind: "url", url };

  /** `[datasets/]org/name[/tree|blob|resolve|raw/revision[/file…]]` */
  function fromPage(parts: readonly string[], given: string): Source {
    const isData = parts[0] === "datasets";
    const [owner = "", name = "", view, revision, ...file] = isData ? parts.slice(1) : parts;
    const repository = { type: isData ? "dataset" : type, name: `${owner}/${name}` } as const;
    const isView = view === undefined || /^(tree|blob|resolve|raw|viewer|discussions)$/.test(view);
    if (!isView) throw new FacetError(`${given} is not the page of a repository or of its file.`);
    const ofFile = view === "blob" || view === "resolve" || view === "raw";
    return ofFile || view === "tree"
      ? huggingFace(repository, revision ?? "main", (ofFile && file.join("/")) || undefined, given)
      : huggingFace(repository, "main", undefined, given);
  }
}

function decoded(path: string, given: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new FacetError(`${given} is not an address of the web.`, { cause });
  }
}

/** Whether a path from elsewhere stays inside the folder that it is put in, on any system. */
export const isPlainPath = (path: string): boolean =>
  path.length <= 512 &&
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  !/[\\:*?"<>|\x00-\x1f]/.test(path) &&
  path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
