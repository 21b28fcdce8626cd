import { existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FacetError } from "../errors.js";
import { cleanTemporaries } from "../formats/atomicFile.js";
import { unpack } from "./archive.js";
import type { Checksum } from "./checksum.js";
import { kaggleCredentials } from "./credentials.js";
import { type DownloadHooks, downloadFile } from "./download.js";
import { makeFolder } from "./part.js";
import { kaggleCache } from "./places.js";
import { ask, isOffline } from "./request.js";
import type { KaggleModel } from "./source.js";

/**
 * Models of Kaggle on this machine, laid out as Python's kagglehub does (cache.py), so that each finds what the other
 * downloaded: `models/<owner>/<model>/<framework>/<variation>/<version>`, whole when a file
 * `<version>.complete` stands beside it.
 */
type Versioned = KaggleModel & { readonly version: number };

const endpoint = () =>
  (process.env.KAGGLE_API_ENDPOINT || "https://www.kaggle.com").replace(/\/+$/, "");

const words = ({ owner, model, framework, variation }: KaggleModel) => [
  owner,
  model,
  framework,
  variation,
];

const folderOf = (model: Versioned) =>
  join(kaggleCache(), "models", ...words(model), `${model.version}`);

const nameOf = (model: KaggleModel) =>
  [...words(model), ...(model.version === undefined ? [] : [model.version])].join("/");

/** The folder of a model, if it is on this machine as a whole. */
export function cachedKaggleModel(model: KaggleModel): string | undefined {
  if (model.version === undefined) return undefined;
  const folder = folderOf({ ...model, version: model.version });
  return existsSync(folder) && existsSync(`${folder}.complete`) ? folder : undefined;
}

/** Gets a model's folder: Kaggle packs it into one archive. Throws a FacetError that says what to do. */
export async function kaggleModel(model: KaggleModel, hooks: DownloadHooks): Promise<string> {
  const here = cachedKaggleModel(model);
  if (here !== undefined) return here;
  if (isOffline()) {
    throw new FacetError(
      `${nameOf(model)} of Kaggle is not on this machine, and HF_HUB_OFFLINE forbids downloads.`,
    );
  }
  const version = model.version ?? (await newestVersion(model, hooks));
  const versioned = { ...model, version };
  const folder = folderOf(versioned);
  if (model.version === undefined && cachedKaggleModel(versioned) !== undefined) return folder;
  const archive = `${folder}.archive`;
  if (!existsSync(archive)) {
    await downloadFile(
      nameOf(versioned),
      {
        url: `${endpoint()}/api/v1/models/${nameOf(versioned)}/download`,
        target: archive,
        name: nameOf(versioned),
        headers: authorization(),
        statedChecksum,
        refusal: (response) => refusal(versioned, response),
      },
      hooks,
    );
  }
  makeFolder(dirname(folder));
  cleanTemporaries(dirname(folder));
  try {
    hooks.signal?.throwIfAborted();
    hooks.onNotice?.(`Unpacking ${nameOf(versioned)}`);
    await unpack(archive, folder);
  } catch (error) {
    // One that cannot be unpacked would never be; one that was interrupted will be the next time.
    if (error instanceof FacetError) rmSync(archive, { force: true });
    throw error;
  }
  writeFileSync(`${folder}.complete`, "");
  rmSync(archive, { force: true });
  return folder;
}

async function newestVersion(model: KaggleModel, { signal, onNotice }: DownloadHooks) {
  const response = await ask(`${endpoint()}/api/v1/models/${nameOf(model)}/get`, {
    headers: authorization(),
    signal,
    onNotice,
  });
  if (!response.ok) throw await refusal(model, response);
  const answer = (await response.json().catch(() => null)) as { versionNumber?: unknown } | null;
  const version = answer?.versionNumber;
  if (Number.isSafeInteger(version) && Number(version) > 0) return Number(version);
  throw new FacetError(
    `Kaggle does not say which version of ${nameOf(model)} is the newest. Give one: kaggle://${nameOf(model)}/1.`,
  );
}

function authorization(): Record<string, string> {
  const credentials = kaggleCredentials();
  return credentials === undefined ? {} : { authorization: credentials.authorization };
}

/** Google's storage states the MD5 in base64: `x-goog-hash: crc32c=…,md5=…`. */
function statedChecksum(headers: Headers): Checksum | undefined {
  const base64 = /(?:^|[,\s])md5=([A-Za-z0-9+/]{22}==)/.exec(headers.get("x-goog-hash") ?? "")?.[1];
  if (base64 === undefined) return undefined;
  return { kind: "md5", hex: Buffer.from(base64, "base64").toString("hex") };
}

async function refusal(model: KaggleModel, response: Response): Promise<FacetError> {
  await response.body?.cancel();
  const page = `https://www.kaggle.com/models/${nameOf(model)}`;
  if (response.status === 401 || response.status === 403) {
    const credentials = kaggleCredentials();
    return new FacetError(
      credentials === undefined
        ? `${nameOf(model)} is given only to those who accepted its licence: open ${page}, accept it, get an API token at https://www.kaggle.com/settings, set KAGGLE_API_TOKEN to it (or KAGGLE_USERNAME and KAGGLE_KEY, or put kaggle.json into ~/.kaggle), and try again.`
        : `The credentials of ${credentials.from} may not read ${nameOf(model)}: open ${page} with the same account, accept the licence, and try again.`,
    );
  }
  if (response.status === 404) return new FacetError(`There is no model ${page}.`);
  return new FacetError(`${page} answers ${response.status} ${response.statusText}`.trim());
}
