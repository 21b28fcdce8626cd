import { Header, type HeaderData } from "tar";

/** An archive of these entries, written byte by byte, so that it can hold what no honest tool writes. */
export function tarFile(
  entries: readonly (Partial<HeaderData> & { path: string; bytes?: Buffer })[],
): Buffer {
  const blocks = entries.flatMap(({ bytes = Buffer.alloc(0), ...entry }) => {
    const header = new Header({ type: "File", mode: 0o644, size: bytes.length, ...entry });
    header.encode();
    const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512);
    return [header.block!, bytes, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
