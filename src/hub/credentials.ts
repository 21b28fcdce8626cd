import { join } from "node:path";
import { FacetError } from "../errors.js";
import { expanded, huggingFaceHome, kaggleHome } from "./places.js";
import { readIfThere } from "./readIfThere.js";

/** Secrets that prove who asks. They go into the header of requests and nowhere else. */
export interface Credentials {
  /** Value of the Authorization header. */
  readonly authorization: string;
  /** Where they were found. */
  readonly from: string;
}

/** The token of Hugging Face: of the environment, or of the login that its own tools stored. */
export function huggingFaceCredentials(): Credentials | undefined {
  for (const variable of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const token = clean(process.env[variable]);
    if (token !== undefined) return bearer(token, variable);
  }
  const path = expanded(process.env.HF_TOKEN_PATH || join(huggingFaceHome(), "token"));
  const token = clean(readIfThere(path));
  return token === undefined ? undefined : bearer(token, path);
}

/** The token or key of Kaggle: of the environment, or of the files that its own tools use. */
export function kaggleCredentials(): Credentials | undefined {
  const token = clean(process.env.KAGGLE_API_TOKEN);
  if (token !== undefined) return bearer(token, "KAGGLE_API_TOKEN");
  const username = clean(process.env.KAGGLE_USERNAME);
  const key = clean(process.env.KAGGLE_KEY);
  if (username !== undefined && key !== undefined) return basic(username, key, "KAGGLE_KEY");
  const tokenPath = join(kaggleHome(), "access_token");
  const stored = clean(readIfThere(tokenPath));
  if (stored !== undefined) return bearer(stored, tokenPath);
  const path = join(kaggleHome(), "kaggle.json");
  const text = readIfThere(path);
  return text === undefined ? undefined : fromJson(text, path);
}

function fromJson(text: string, path: string): Credentials {
  let parsed: { username?: unknown; key?: unknown } | null = null;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The error below says it. That of JSON.parse would quote the secret.
  }
  const { username, key } = parsed ?? {};
  if (typeof username !== "string" || typeof key !== "string") {
    throw new FacetError(
      `${path} is not what Kaggle writes: {"username": …, "key": …}. Get it again at https://www.kaggle.com/settings.`,
    );
  }
  return basic(username.trim(), key.trim(), path);
}

const bearer = (token: string, from: string): Credentials => ({
  authorization: `Bearer ${token}`,
  from,
});

const basic = (username: string, key: string, from: string): Credentials => ({
  authorization: `Basic ${Buffer.from(`${username}:${key}`).toString("base64")}`,
  from,
});

/** A secret without the white space around it, which is no part of it; undefined for none. */
function clean(text: string | undefined): string | undefined {
  const secret = text?.replace(/[\r\n]/g, "").trim();
  return secret === "" ? undefined : secret;
}
