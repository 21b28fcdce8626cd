import { expect, test } from "vitest";
import { escapeHtml } from "../../src/report/escapeHtml.js";

test("characters of markup become references", () => {
  expect(escapeHtml(`<a href="x">Tom & 'Jerry'</a>`)).toBe(
    "&lt;a href=&quot;x&quot;&gt;Tom &amp; &#39;Jerry&#39;&lt;/a&gt;",
  );
});

test("text that is escaped already is escaped again, so it is shown as it was", () => {
  expect(escapeHtml("&lt;")).toBe("&amp;lt;");
});

test("tabs, line feeds and every script stay as they are", () => {
  const text = "a\tb\n  c — Zürich, 東京, البحر, 👩‍🔬";
  expect(escapeHtml(text)).toBe(text);
});

test("carriage returns before line feeds go, as in a browser", () => {
  expect(escapeHtml("a\r\nb\rc")).toBe("a\nb␍c");
});

test("control characters are shown as pictures", () => {
  expect(escapeHtml("\u0000\u0007\u001b[31m\u007f")).toBe("␀␇␛[31m␡");
});

test("lone surrogates and C1 controls become U+FFFD", () => {
  expect(escapeHtml("\ud800x\udc00y\u0085")).toBe("\ufffdx\ufffdy\ufffd");
});
