import { existsSync, readdirSync, statSync } from "node:fs";
import { FacetError } from "../errors.js";
import type { Checksum } from "./checksum.js";
import { type DownloadHooks, downloadFiles, type SizedWanted } from "./download.js";
import {
  authorization,
  fileUrl,
  listTree,
  pageOf,
  refusal,
  resolveCommit,
} from "./huggingFaceApi.js";
import {
  isCommit,
  type RemoteFile,
  type RepositoryCache,
  repositoryCache,
} from "./repositoryCache.js";
import { isOffline, Unreachable } from "./request.js";
import type { Repository } from "./source.js";

/**
 * Which files of a repository are wanted. `open` gives the path of one on this machine, for what only its content can
 * tell. Throws a FacetError when the repository has not what is looked for.
 */
export type Choose = (
  files: readonly RemoteFile[],
  open: (file: RemoteFile) => Promise<string>,
) => Promise<readonly RemoteFile[]>;

/** Files of one commit of a repository, on this machine and whole. */
export interface Snapshot {
  readonly folder: string;
  readonly commit: string;
  /** Paths of the files that were chosen. */
  readonly files: readonly string[];
}

export interface SnapshotRequest {
  readonly repository: Repository;
  readonly revision: string;
  readonly choose: Choose;
}

/**
 * Gets the chosen files of a repository. Of a commit that is here nothing is asked; for a branch or tag the service is
 * asked what it stands for, and where nothing answers, what it stood for the last time is used. Throws a FacetError
 * that says what to do.
 */
export async function snapshot(request: SnapshotRequest, hooks: DownloadHooks): Promise<Snapshot> {
  const { repository, revision } = request;
  const cache = repositoryCache(repository);
  const last = isCommit(revision) ? revision : cache.readRef(revision);
  if (isOffline()) return cached(request, cache, last, "HF_HUB_OFFLINE is set");
  if (isCommit(revision)) {
    const here = await whole(request, cache, revision, cache.readTree(revision));
    if (here !== undefined) return here;
  }
  try {
    return await fetched(request, cache, last === undefined, hooks);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const here = await cached(request, cache, last, error.message).catch(() => undefined);
    if (here === undefined) throw error;
    hooks.onNotice?.(
      `${error.message} Using ${repository.name} as it was downloaded before (${here.commit.slice(0, 8)}).`,
    );
    return here;
  }
}

/** The files of the commit that is known here. Throws a FacetError when they are not all here. */
async function cached(
  request: SnapshotRequest,
  cache: RepositoryCache,
  commit: string | undefined,
  why: string,
): Promise<Snapshot> {
  if (commit !== undefined) {
    const here = await cachedSnapshot(request, cache, commit);
    if (here !== undefined) return here;
  }
  throw new FacetError(
    `${pageOf(request.repository)} is not on this machine as a whole, and cannot be downloaded: ${why}.`,
  );
}

/** The chosen files of a commit if all are here, also when nobody wrote down which files it has. */
export async function cachedSnapshot(
  request: Pick<SnapshotRequest, "choose">,
  cache: RepositoryCache,
  commit: string,
): Promise<Snapshot | undefined> {
  return whole(request, cache, commit, cache.readTree(commit) ?? filesIn(cache.snapshot(commit)));
}

async function whole(
  { choose }: Pick<SnapshotRequest, "choose">,
  cache: RepositoryCache,
  commit: string,
  tree: readonly RemoteFile[] | undefined,
): Promise<Snapshot | undefined> {
  if (tree === undefined) return undefined;
  const isHere = (file: RemoteFile) => isWhole(cache.pathOf(commit, file.path), file);
  const open = async (file: RemoteFile) => {
    if (isHere(file)) return cache.pathOf(commit, file.path);
    throw new FacetError(`${file.path} is not on this machine.`);
  };
  try {
    const files = await choose(tree, open);
    if (!files.every(isHere)) return undefined;
    return { folder: cache.snapshot(commit), commit, files: files.map(({ path }) => path) };
  } catch (error) {
    if (error instanceof FacetError) return undefined;
    throw error;
  }
}

const isWhole = (path: string, { size }: RemoteFile) =>
  statSync(path, { throwIfNoEntry: false })?.size === size;

/** The files of a folder as if a server had listed them. */
function filesIn(folder: string): RemoteFile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const entry = statSync(`${folder}/${name}`, { throwIfNoEntry: false });
    if (!entry?.isFile()) return [];
    return [{ path: name.replaceAll("\\", "/"), size: entry.size, blobId: "" }];
  });
}

async function fetched(
  { repository, revision, choose }: SnapshotRequest,
  cache: RepositoryCache,
  isNew: boolean,
  hooks: DownloadHooks,
): Promise<Snapshot> {
  const { signal, onNotice } = hooks;
  // Where a copy is here, a server that does not answer is soon done with.
  const asking = isNew ? { signal, onNotice } : { signal, onNotice, tries: 2 };
  const commit = isCommit(revision)
    ? revision
    : await understood(repository, resolveCommit(repository, revision, asking));
  let tree = cache.readTree(commit);
  if (tree === undefined) {
    tree = await understood(repository, listTree(repository, commit, asking));
    cache.writeTree(commit, tree);
  }
  const get = async (files: readonly RemoteFile[]) => {
    const missing = files.filter((file) => !isWhole(cache.pathOf(commit, file.path), file));
    const absent = missing.filter((file) => !isWhole(cache.blob(file), file));
    await downloadFiles(
      repository.name,
      distinct(absent).map((file) => wantedFile(repository, revision, commit, cache, file)),
      hooks,
    );
    for (const file of missing) cache.link(commit, file);
  };
  const open = async (file: RemoteFile) => {
    await get([file]);
    return cache.pathOf(commit, file.path);
  };
  const files = await choose(tree, open);
  await get(files);
  cache.writeRef(revision, commit);
  return { folder: cache.snapshot(commit), commit, files: files.map(({ path }) => path) };
}

/** Two files of a repository may have the same content. */
const distinct = (files: readonly RemoteFile[]): RemoteFile[] => [
  ...new Map(files.map((file) => [file.sha256 ?? file.blobId, file])).values(),
];

function wantedFile(
  repository: Repository,
  revision: string,
  commit: string,
  cache: RepositoryCache,
  file: RemoteFile,
): SizedWanted {
  const checksum: Checksum =
    file.sha256 === undefined
      ? { kind: "git", hex: file.blobId }
      : { kind: "sha256", hex: file.sha256 };
  return {
    url: fileUrl(repository, commit, file.path),
    target: cache.blob(file),
    name: `${repository.name}/${file.path}`,
    headers: authorization(),
    size: file.size,
    checksum,
    refusal: (response) => refusal(repository, revision, response),
  };
}

/** The library's own errors speak of requests; the user is told which repository it is about. */
async function understood<T>(repository: Repository, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof FacetError || (error as Error).name === "AbortError") throw error;
    throw new FacetError(
      `${pageOf(repository)} cannot be looked up: ${(error as Error).message}.`,
      { cause: error },
    );
  }
}
