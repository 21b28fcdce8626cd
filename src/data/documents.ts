import { fileText } from "./textFile.js";

/** Longer documents are cut, so that a book is never one string and the held-out share is made of small pieces. */
export const MAX_DOCUMENT_CHARACTERS = 32_768;

const SEPARATOR = /\f|\n(?:[ \t\r]*\n){2,}/;

/**
 * The documents of a UTF-8 text file, trimmed, without empty ones. A document ends at a form feed or at two or more blank lines.
 * One of more than `MAX_DOCUMENT_CHARACTERS` is cut at its last paragraph end (else line end, else space) before that
 * length. Reads the file as a stream: memory holds one document and one read.
 * `onBytes` is told the size of each read. Throws a FacetError for a file that is missing or not UTF-8.
 */
export async function* readDocuments(
  path: string,
  onBytes?: (count: number) => void,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of fileText(path, onBytes)) {
    rest += text;
    // documentEnd looks no further than the limit, so the result does not depend on how the file was read.
    while (rest.length > MAX_DOCUMENT_CHARACTERS) {
      const end = documentEnd(rest);
      const document = rest.slice(0, end).trim();
      rest = rest.slice(end);
      if (document !== "") yield document;
    }
  }
  while (rest !== "") {
    const end = documentEnd(rest);
    const document = rest.slice(0, end).trim();
    rest = rest.slice(end);
    if (document !== "") yield document;
  }
}

/** Where the first document of `text` ends, its separator included; always past 0. */
function documentEnd(text: string): number {
  const head = text.slice(0, MAX_DOCUMENT_CHARACTERS);
  const separator = SEPARATOR.exec(head);
  if (separator !== null) return separator.index + separator[0].length;
  if (text.length <= MAX_DOCUMENT_CHARACTERS) return text.length;
  for (const mark of ["\n\n", "\n", " "]) {
    const at = head.lastIndexOf(mark);
    if (at >= MAX_DOCUMENT_CHARACTERS / 2) return at + mark.length;
  }
  const last = head.charCodeAt(head.length - 1);
  const splitsPair = last >= 0xd800 && last < 0xdc00;
  return splitsPair ? head.length - 1 : head.length;
}
