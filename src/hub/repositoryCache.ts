import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { makeFolder } from "./part.js";
import { huggingFaceCache } from "./places.js";
import { readIfThere } from "./readIfThere.js";
import { isPlainPath, type Repository } from "./source.js";

/**
 * Repositories of Hugging Face on this machine, laid out as Python's huggingface_hub does (file_download.py,
 * _tree_cache.py), so that each finds what the other downloaded:
 *
 *     models--google--gemma-2b/
 *       blobs/<SHA-256 of a large file, git SHA-1 of a small one>
 *       snapshots/<commit>/config.json -> ../../blobs/…
 *       refs/main                        the commit that a branch or tag stood for
 *       trees/<commit>.json              the files of a commit
 */
export interface RepositoryCache {
  readonly folder: string;
  blob(file: RemoteFile): string;
  snapshot(commit: string): string;
  /** Where a file of a commit is, whether it is there or not. */
  pathOf(commit: string, file: string): string;
  /** The commit that a revision stood for when it was last asked for. */
  readRef(revision: string): string | undefined;
  writeRef(revision: string, commit: string): void;
  /** The files of a commit, if somebody asked for them before. */
  readTree(commit: string): RemoteFile[] | undefined;
  writeTree(commit: string, files: readonly RemoteFile[]): void;
  /** Makes a file that has arrived visible in the snapshot of a commit. */
  link(commit: string, file: RemoteFile): void;
}

/** A file in a repository on the server. */
export interface RemoteFile {
  /** With slashes between folders. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** What git calls its blob; that of a pointer for a large file. */
  readonly blobId: string;
  /** Of a large file. */
  readonly sha256?: string;
}

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

const treeSchema = z.object({
  format_version: z.literal(1),
  files: z.record(
    z.string(),
    z.object({
      size: z.number(),
      blob_id: z.string(),
      lfs_sha256: z.string().optional(),
      lfs_size: z.number().optional(),
    }),
  ),
});

export function repositoryCache({ type, name }: Repository): RepositoryCache {
  const folder = join(huggingFaceCache(), `${type}s--${name.replace("/", "--")}`);
  const snapshot = (commit: string) => join(folder, "snapshots", commit);
  const blob = ({ sha256, blobId }: RemoteFile) => join(folder, "blobs", sha256 ?? blobId);
  const pathOf = (commit: string, file: string) => join(snapshot(commit), ...file.split("/"));
  const treePath = (commit: string) => join(folder, "trees", `${commit}.json`);
  return {
    folder,
    snapshot,
    blob,
    pathOf,
    readRef(revision) {
      const commit = readIfThere(join(folder, "refs", ...revision.split("/")))?.trim();
      return commit !== undefined && isCommit(commit) ? commit : undefined;
    },
    writeRef(revision, commit) {
      if (revision === commit) return;
      const path = join(folder, "refs", ...revision.split("/"));
      if (readIfThere(path) === commit) return;
      makeFolder(dirname(path));
      writeFileAtomic(path, commit);
    },
    readTree(commit) {
      const text = readIfThere(treePath(commit));
      if (text === undefined) return undefined;
      // One that cannot be read is asked for anew.
      const parsed = treeSchema.safeParse(parsedJson(text));
      if (!parsed.success) return undefined;
      const files = Object.entries(parsed.data.files).map(
        ([path, file]): RemoteFile => ({
          path,
          size: file.lfs_size ?? file.size,
          blobId: file.blob_id,
          ...(file.lfs_sha256 !== undefined && { sha256: file.lfs_sha256 }),
        }),
      );
      return files.every(isSound) ? files : undefined;
    },
    writeTree(commit, files) {
      const entries = files.map(({ path, size, blobId, sha256 }) => [
        path,
        { size, blob_id: blobId, ...(sha256 && { lfs_sha256: sha256, lfs_size: size }) },
      ]);
      makeFolder(dirname(treePath(commit)));
      writeFileAtomic(
        treePath(commit),
        JSON.stringify({ format_version: 1, files: Object.fromEntries(entries) }, null, 1),
      );
    },
    link(commit, file) {
      const path = pathOf(commit, file.path);
      makeFolder(dirname(path));
      placeLink(blob(file), path);
    },
  };
}

/** Whether what a server says of a file can be used: its path stays inside the folder, its names are hashes. */
export const isSound = ({ path, size, blobId, sha256 }: RemoteFile): boolean =>
  isPlainPath(path) &&
  Number.isSafeInteger(size) &&
  size >= 0 &&
  /^[0-9a-f]{40}$/.test(blobId) &&
  (sha256 === undefined || /^[0-9a-f]{64}$/.test(sha256));

/** The commits of which at least a file is here. */
export function cachedCommits({ folder }: RepositoryCache): string[] {
  const snapshots = join(folder, "snapshots");
  return existsSync(snapshots) ? readdirSync(snapshots).filter(isCommit).sort() : [];
}

/** A relative link, so that the cache can be moved; a copy where the system has none, such as some Windows. */
function placeLink(blob: string, path: string): void {
  const temporary = `${path}.${process.pid}.link`;
  try {
    rmSync(temporary, { force: true });
    symlinkSync(relative(dirname(path), blob), temporary);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPERM" && code !== "ENOSYS" && code !== "ENOTSUP") {
      throw new FacetError(`Cannot make ${path}: ${(error as Error).message}`, { cause: error });
    }
    mkdirSync(dirname(temporary), { recursive: true });
    copyFileSync(blob, temporary);
  }
  renameSync(temporary, path);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
