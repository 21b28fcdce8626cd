import { escapeHtml } from "./escapeHtml.js";

/** The mean width of a character at 12 px; there is no DOM to measure text with. */
export const characterWidth = 6.6;

/** Coordinates to a tenth of a pixel, so that no digit is written that nobody sees. */
export const pixels = (value: number): number => Math.round(value * 10) / 10;

/** A text of 12 px; `content` is escaped. */
export const svgText = (
  x: number,
  y: number,
  anchor: "start" | "middle" | "end",
  content: string,
): string =>
  `<text x="${pixels(x)}" y="${pixels(y)}" text-anchor="${anchor}">${escapeHtml(content)}</text>`;

/**
 * One `<svg>` with a title and a description for those who cannot see it. Text keeps its size of 12 px: draw for another
 * width rather than scaling. `id` is unique on the page.
 */
export const svg = (
  size: { readonly width: number; readonly height: number },
  text: { readonly id: string; readonly title: string; readonly description: string },
  content: string,
): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}"`,
    ` viewBox="0 0 ${size.width} ${size.height}" role="img" aria-labelledby="${text.id}-title ${text.id}-desc"`,
    ` font-family="system-ui, sans-serif" font-size="12" fill="currentColor">`,
    `<title id="${text.id}-title">${escapeHtml(text.title)}</title>`,
    `<desc id="${text.id}-desc">${escapeHtml(text.description)}</desc>`,
    content,
    "</svg>",
  ].join("");

/** A figure drawn twice, for wide and for narrow pages: labels must not shrink with the page. */
export const figure = (draw: (width: number) => string, caption = ""): string =>
  [
    `<figure><div class="wide">${draw(800)}</div><div class="narrow">${draw(326)}</div>`,
    caption === "" ? "" : `<figcaption>${escapeHtml(caption)}</figcaption>`,
    "</figure>",
  ].join("\n");

/** A text of at most so many characters, with an ellipsis where some are left out. */
export const clipped = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
