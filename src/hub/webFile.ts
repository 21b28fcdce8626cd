import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { FacetError } from "../errors.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { type DownloadHooks, downloadFile } from "./download.js";
import { facetHome } from "./places.js";
import { readIfThere } from "./readIfThere.js";
import { ask, isOffline, Unreachable } from "./request.js";

/**
 * Gets a file from an address of the web into Facet's own cache, and asks the next time whether it has changed. Where
 * nothing answers, the file as it was is used.
 */
export async function webFile(url: URL, hooks: DownloadHooks): Promise<string> {
  const { signal, onNotice } = hooks;
  const file = decodeURIComponent(basename(url.pathname));
  if (!/^[\w][\w.()+ -]*$/.test(file)) {
    throw new FacetError(`${url} does not end in the name of a file.`);
  }
  const address = createHash("sha256").update(url.href).digest("hex").slice(0, 16);
  const target = join(facetHome(), "downloads", address, file);
  const note = `${target}.version`;
  const here = existsSync(target);
  if (isOffline()) {
    if (here) return target;
    throw new FacetError(`${url} is not on this machine, and HF_HUB_OFFLINE forbids downloads.`);
  }
  if (here && !(await hasChanged(url, note, { signal, onNotice }))) return target;
  const { validator = "" } = await downloadFile(
    file,
    { url: url.href, target, name: url.href, refusal: (response) => refusal(url, response) },
    hooks,
  );
  writeFileAtomic(note, validator);
  return target;
}

/** Whether the server has another version than the one whose name is in `note`. */
async function hasChanged(
  url: URL,
  note: string,
  { signal, onNotice }: DownloadHooks,
): Promise<boolean> {
  const validator = readIfThere(note) ?? "";
  // Nothing can tell the versions apart.
  if (validator === "") return false;
  const condition = validator.startsWith('"') ? "if-none-match" : "if-modified-since";
  try {
    const response = await ask(url, {
      headers: { [condition]: validator },
      signal,
      tries: 2,
      onNotice,
    });
    await response.body?.cancel();
    if (response.status === 304) return false;
    if (!response.ok) throw refusal(url, response);
    return (response.headers.get("etag") ?? response.headers.get("last-modified")) !== validator;
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    onNotice?.(`${error.message} Using ${url} as it was downloaded before.`);
    return false;
  }
}

function refusal(url: URL, { status, statusText }: Response): FacetError {
  return new FacetError(`${url} answers ${status} ${statusText}`.trim().concat("."));
}
