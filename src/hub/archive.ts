import { statfsSync } from "node:fs";
import type { ReadEntry } from "tar";
import { FacetError } from "../errors.js";
import { writeFolderAtomic } from "../formats/atomicFile.js";
import { isPlainPath } from "./source.js";

/** No model has as many files. */
const MOST_ENTRIES = 10_000;

/**
 * Unpacks a .tar or .tar.gz of files and folders into `folder`, which appears when all of it is there. Throws a
 * FacetError, and leaves nothing, for an archive that is damaged, holds links or devices, has a path that leads out of
 * the folder, has very many files, or unpacks to more than the disk has room for.
 */
export async function unpack(archive: string, folder: string): Promise<void> {
  await writeFolderAtomic(folder, async (temporary) => {
    const { bavail, bsize } = statfsSync(temporary);
    const room = bavail * bsize;
    let bytes = 0;
    let entries = 0;
    let problem: string | undefined;
    const accept = (path: string, { type, size }: { type: string; size: number }): boolean => {
      bytes += size;
      entries++;
      if (
        type !== "File" &&
        type !== "OldFile" &&
        type !== "ContiguousFile" &&
        type !== "Directory"
      )
        problem ??= `${JSON.stringify(path)} is a ${type}, not a file`;
      // Archives of a folder name it "./".
      const inside = path.replace(/^(\.\/)+/, "").replace(/\/$/, "");
      if (inside !== "" && !isPlainPath(inside))
        problem ??= `${JSON.stringify(path)} does not stay in the folder`;
      if (entries > MOST_ENTRIES) problem ??= `it has more than ${MOST_ENTRIES} files`;
      if (bytes > room) problem ??= `the disk has no room for its files`;
      return problem === undefined;
    };
    try {
      const tar = await import("tar");
      await tar.extract({
        file: archive,
        cwd: temporary,
        strict: true,
        noMtime: true,
        filter: (path, entry) => accept(path, entry as ReadEntry),
      });
    } catch (error) {
      problem ??= (error as Error).message;
    }
    if (problem !== undefined) throw new FacetError(`${archive} cannot be unpacked: ${problem}.`);
  });
}
