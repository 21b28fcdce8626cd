import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Things too large, or not ours, to be in the repository; a test that needs them is skipped without. */
const shared =
  process.env.FACET_SHARED ?? fileURLToPath(new URL("../../../shared", import.meta.url));

export function sharedPath(path: string): { path: string; isThere: boolean } {
  const whole = join(shared, path);
  const isThere = existsSync(whole);
  if (!isThere) console.warn(`${whole} is not there: what needs it is skipped.`);
  return { path: whole, isThere };
}
