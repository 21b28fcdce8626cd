import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A folder that is removed after the tests of the file that asks for it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "facet-data-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Writes files of the given content into the folder, each with a name of its own if none is given; gives the path. */
export function fileWriter(
  folder: string,
): (content: string | Uint8Array, name?: string) => string {
  let count = 0;
  return (content, name) => {
    count += 1;
    const path = join(folder, name ?? `file-${count}`);
    writeFileSync(path, content);
    return path;
  };
}
