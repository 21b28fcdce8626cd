/** An element of checked markup. */
export interface MarkupElement {
  name: string;
  attributes: Record<string, string>;
  /** Text of it and of all within it, with character references resolved. */
  text: string;
}

const references: Record<string, string> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

const token =
  /<!DOCTYPE html>|<style>[^<]*<\/style>|<(\/?)([a-z][a-z0-9]*)([^<>]*?)(\/?)>|[^<>]+/giy;

/**
 * The elements of `markup` in order of their opening tags. It is stricter than a browser, and
 * throws for a tag that is not closed in order, a bare `<`, `>` or `&`, and unquoted attributes.
 */
export function parseMarkup(markup: string): MarkupElement[] {
  const elements: MarkupElement[] = [];
  const open: MarkupElement[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < markup.length) {
    const at = token.lastIndex;
    const match = token.exec(markup);
    if (match === null) throw new Error(`Not markup at "${markup.slice(at, at + 40)}"`);
    const [whole, closing, name, attributes, selfClosing] = match;
    if (name === undefined) {
      if (!whole.startsWith("<")) for (const element of open) element.text += resolve(whole);
    } else if (closing === "/") {
      const element = open.pop();
      if (element?.name !== name) throw new Error(`</${name}> closes <${element?.name}>`);
    } else {
      const element = { name, attributes: parseAttributes(attributes ?? ""), text: "" };
      elements.push(element);
      if (selfClosing !== "/" && name !== "meta") open.push(element);
    }
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)!.name}> is not closed`);
  return elements;
}

function parseAttributes(source: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  const rest = source.replace(/\s([a-zA-Z-]+)="([^"]*)"/g, (_, name: string, value: string) => {
    attributes[name] = resolve(value);
    return "";
  });
  if (rest !== "") throw new Error(`Not attributes: "${rest}"`);
  return attributes;
}

function resolve(text: string): string {
  return text.replace(/&(\w+;|#\d+;)?/g, (reference) => {
    const character = references[reference];
    if (character === undefined) throw new Error(`Unknown reference in "${text}"`);
    return character;
  });
}
