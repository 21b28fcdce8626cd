const REPLACEMENT = "\uFFFD";

/**
 * The text of a run of byte pieces as SentencePiece decodes it: every byte that does not belong to a well-formed
 * character becomes U+FFFD by itself, where a TextDecoder would replace several by one.
 */
export function decodeBytes(bytes: readonly number[]): string {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const { length, state } = characterAt(bytes, i);
    text +=
      state === "whole" ? utf8.decode(Uint8Array.from(bytes.slice(i, i + length))) : REPLACEMENT;
    i += state === "whole" ? length : 1;
  }
  return text;
}

/** How many of the first bytes are settled: what follows them could still become a character with more bytes. */
export function settledBytes(bytes: readonly number[]): number {
  let i = 0;
  while (i < bytes.length) {
    const { length, state } = characterAt(bytes, i);
    if (state === "begun") break;
    i += state === "whole" ? length : 1;
  }
  return i;
}

// Whether a character is at `start`: whole, begun (the bytes end too early), or not well-formed UTF-8 (RFC 3629).
function characterAt(
  bytes: readonly number[],
  start: number,
): { length: number; state: "whole" | "begun" | "malformed" } {
  const lead = bytes[start]!;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length === 0 || lead > 0xf4) return { length: 1, state: "malformed" };
  for (let i = 1; i < length; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return { length: i, state: "begun" };
    // The second byte rules out overlong forms, surrogates, and what is above U+10FFFF.
    const low = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return { length: 1, state: "malformed" };
  }
  return { length, state: "whole" };
}
