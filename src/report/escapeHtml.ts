const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** U+2400..U+2421 are pictures of the control characters 0..31 and of delete. */
function picture(control: string): string {
  const code = control.charCodeAt(0);
  return String.fromCharCode(code === 0x7f ? 0x2421 : 0x2400 + code);
}

/**
 * Text that HTML shows as it is, in an element or in a quoted attribute.
 *
 * Besides the five characters of markup, what a parser would drop or rewrite is made visible:
 * control characters other than tab and line feed become their pictures (U+2400 and up), CR LF
 * becomes LF as browsers do, and what UTF-8 or HTML cannot hold (lone surrogates, U+0080..U+009F)
 * becomes U+FFFD.
 */
export function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => entities[character]!)
    .replace(/\r\n/g, "\n")
    .replace(/(?![\t\n\u0080-\u009f])\p{Cc}/gu, picture)
    .replace(/[\u0080-\u009f\p{Cs}]/gu, "\ufffd");
}
