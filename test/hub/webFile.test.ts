import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { webFile } from "../../src/hub/webFile.js";
import { startHub } from "../support/hub.js";

async function served(headers: Record<string, string> = { etag: '"v1"' }) {
  const { server, home } = await startHub();
  server.serve("/m/x.gguf", "first", headers);
  return { server, home, url: new URL(`${server.url}/m/x.gguf?download=1`) };
}

it("a file of the web comes into Facet's own cache under its name", async () => {
  const { url, home } = await served();
  const path = await webFile(url, {});
  expect(path.startsWith(join(home, "facet", "downloads"))).toBe(true);
  expect(path.endsWith("/x.gguf")).toBe(true);
  expect(readFileSync(path, "utf8")).toBe("first");
});

it("it is downloaded again only when it has changed", async () => {
  const { server, url } = await served();
  const path = await webFile(url, {});
  server.asked.length = 0;
  await webFile(url, {});
  expect(server.asked.map(({ headers }) => headers["if-none-match"])).toEqual(['"v1"']);
  server.serve("/m/x.gguf", "second", { etag: '"v2"' });
  expect(readFileSync(await webFile(url, {}), "utf8")).toBe("second");
  expect(path).toBe(await webFile(url, {}));
});

it("it is used as it is when nothing can tell versions apart, or nothing answers, or requests are forbidden", async () => {
  const { server, url } = await served({});
  await webFile(url, {});
  server.asked.length = 0;
  await webFile(url, {});
  expect(server.asked).toEqual([]);
  server.serve("/m/x.gguf", "with a version", { etag: '"v1"' });
  const other = new URL(`${url}&other`);
  const path = await webFile(other, {});
  await server.close();
  const notices: string[] = [];
  expect(await webFile(other, { onNotice: (text) => notices.push(text) })).toBe(path);
  expect(notices.join()).toMatch(/as it was downloaded before/);
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  expect(await webFile(other, {})).toBe(path);
  await expect(webFile(new URL(`${url}&new`), {})).rejects.toThrow(/not on this machine/);
});

it("a version is not believed that does not promise the same bytes", async () => {
  const { server, url } = await served({ etag: 'W/"v1"' });
  const content = randomBytes(100_000);
  server.serve("/m/x.gguf", { bytes: content }, { etag: 'W/"v1"' });
  server.misfortunes.push({ path: /x\.gguf/, times: 1, cutAfter: 50_000 });
  expect(readFileSync(await webFile(url, {})).equals(content)).toBe(true);
  expect(server.asked.map(({ headers }) => headers["if-range"])).not.toContain('W/"v1"');
});

it("an address without a file's name, or with nothing behind it, is refused", async () => {
  const { server, url } = await served();
  await expect(webFile(new URL(server.url), {})).rejects.toThrow(/does not end in the name/);
  await expect(webFile(new URL("/m/..%2f..%2fetc", url), {})).rejects.toThrow(
    /does not end in the name/,
  );
  await expect(webFile(new URL("/m/none.gguf", url), {})).rejects.toThrow(/answers 404/);
});
