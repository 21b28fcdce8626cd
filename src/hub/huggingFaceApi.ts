import { FacetError, nearestName } from "../errors.js";
import { huggingFaceCredentials } from "./credentials.js";
import { presets } from "./presets.js";
import { isCommit, isSound, type RemoteFile } from "./repositoryCache.js";
import { type Asking, ask } from "./request.js";
import type { Repository } from "./source.js";

/** What the service is asked, and what its refusals mean. */

/** Most starts ask nothing, and need not wait for the library. */
const library = () => import("@huggingface/hub");

const endpoint = () => (process.env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");

/** The page of a repository, where its licence can be accepted. */
export const pageOf = ({ type, name }: Repository): string =>
  `${endpoint()}/${type === "dataset" ? "datasets/" : ""}${name}`;

/** Where a file of a commit can be downloaded. */
export const fileUrl = (repository: Repository, commit: string, path: string): string =>
  `${pageOf(repository)}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;

/** The header that says who asks; none without a token. */
export function authorization(): Record<string, string> {
  const credentials = huggingFaceCredentials();
  return credentials === undefined ? {} : { authorization: credentials.authorization };
}

/** The commit that a branch or tag stands for now. */
export async function resolveCommit(
  repository: Repository,
  revision: string,
  asking: Asking,
): Promise<string> {
  const question = {
    name: repository.name,
    revision,
    hubUrl: endpoint(),
    fetch: fetchFor(repository, revision, asking),
  };
  const { datasetInfo, modelInfo } = await library();
  const { sha } =
    repository.type === "model"
      ? await modelInfo({ ...question, additionalFields: ["sha"] })
      : await datasetInfo({ ...question, additionalFields: ["sha"] });
  if (isCommit(sha)) return sha;
  throw new FacetError(`${endpoint()} names no commit for ${pageOf(repository)}@${revision}.`);
}

/** All files of a commit. Throws a FacetError for names or checksums that cannot be used. */
export async function listTree(
  repository: Repository,
  commit: string,
  asking: Asking,
): Promise<RemoteFile[]> {
  const { listFiles } = await library();
  const files: RemoteFile[] = [];
  const entries = listFiles({
    repo: repository,
    revision: commit,
    recursive: true,
    hubUrl: endpoint(),
    fetch: fetchFor(repository, commit, asking),
  });
  for await (const { type, path, size, oid, lfs } of entries) {
    if (type !== "file") continue;
    const file: RemoteFile = {
      path,
      size: lfs?.size ?? size,
      blobId: oid ?? "",
      ...(lfs !== undefined && { sha256: lfs.oid }),
    };
    if (!isSound(file)) {
      throw new FacetError(
        `${pageOf(repository)} lists a file that cannot be downloaded: ${JSON.stringify(path)}.`,
      );
    }
    files.push(file);
  }
  return files;
}

/** What the library fetches with: patient, with the token only for the service itself, and clear about refusals. */
const fetchFor =
  (repository: Repository, revision: string, asking: Asking): typeof fetch =>
  async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const isService = url.origin === new URL(endpoint()).origin;
    const response = await ask(url, {
      ...asking,
      headers: {
        ...Object.fromEntries(new Headers(init?.headers ?? {})),
        ...(isService && authorization()),
      },
    });
    if (!response.ok) throw await refusal(repository, revision, response);
    return response;
  };

/** What an answer that is no success means for the user. */
export async function refusal(
  repository: Repository,
  revision: string,
  response: Response,
): Promise<FacetError> {
  await response.body?.cancel();
  const page = pageOf(repository);
  const credentials = huggingFaceCredentials();
  const code = response.headers.get("x-error-code");
  const message = response.headers.get("x-error-message") ?? "";
  const { origin } = new URL(response.url);
  if (origin !== new URL(endpoint()).origin) {
    return new FacetError(
      `${origin}, which ${page} leads to, answers ${response.status} ${response.statusText}`.trim(),
    );
  }
  const token = `get a token at ${endpoint()}/settings/tokens and set HF_TOKEN to it, or log in once with "hf auth login"`;
  if (response.status === 401 && /invalid credentials|invalid.*token/i.test(message)) {
    return new FacetError(
      `Hugging Face does not know the token of ${credentials?.from ?? "this request"}: ${token}.`,
    );
  }
  if (code === "GatedRepo" || response.status === 403) {
    return new FacetError(
      credentials === undefined
        ? `${repository.name} is given only to those who accepted its licence: open ${page}, accept it, ${token}, and try again.`
        : `The token of ${credentials.from} may not read ${repository.name}: open ${page} as its owner and accept the licence, let the token read gated repositories, and try again.`,
    );
  }
  if (code === "RevisionNotFound") {
    return new FacetError(`${page} has no revision "${revision}".`);
  }
  if (response.status === 404 || response.status === 401) {
    const near = nearPreset(repository);
    const hidden =
      credentials === undefined ? ` If it is private, ${token}.` : " Or the token may not see it.";
    return new FacetError(
      `There is no ${repository.type === "model" ? "model" : "data set"} ${page}, and no folder or file of that name here.${near}${hidden}`,
    );
  }
  return new FacetError(
    `${page} answers ${response.status} ${response.statusText}. ${message}`.trim(),
  );
}

/** Presets that are like the name of a repository which is not there. */
function nearPreset({ type, name }: Repository): string {
  if (type !== "model") return "";
  const repositories = new Map(
    Object.entries(presets).flatMap(([preset, { source }]) =>
      "huggingFace" in source ? [[source.huggingFace, preset] as const] : [],
    ),
  );
  const last = name.split("/")[1]!;
  const near = nearestName(name, repositories.keys());
  const preset =
    near === undefined
      ? nearestName(last.replace(/-/g, "_"), repositories.values())
      : repositories.get(near);
  return preset === undefined ? "" : ` Did you mean the preset ${preset}?`;
}
