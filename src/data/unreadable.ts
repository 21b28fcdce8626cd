import { FacetError } from "../errors.js";

const CAUSES: Record<string, string> = {
  ENOENT: "there is no such file; check the path",
  EISDIR: "it is a folder; name a file in it",
  EACCES: "you have no permission to read it",
  ERR_FS_FILE_TOO_LARGE: "it is larger than 2 GiB; split it into several files",
};

/** The error for a data file that the system would not let Facet read; `cause` is what Node threw. */
export function unreadable(path: string, cause: unknown): FacetError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = CAUSES[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new FacetError(`Cannot read ${path}: ${reason}.`, { cause });
}
