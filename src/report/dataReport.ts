import { escapeHtml } from "./escapeHtml.js";
import { type Fact, factList, type PageHead, page, section } from "./page.js";

export interface DataReportData extends PageHead {
  readonly facts: readonly Fact[];
  readonly warnings: readonly {
    readonly message: string;
    /** How many rows it is about; 0 for what is about all of them. */
    readonly count: number;
    /** Where the first of them are. */
    readonly places: readonly string[];
  }[];
  /** Rows by length in tokens. */
  readonly histogram: readonly {
    readonly from: number;
    readonly to: number;
    readonly count: number;
  }[];
  readonly examples: readonly {
    readonly heading: string;
    readonly tokens: readonly {
      readonly id: number;
      readonly piece: string;
      readonly target: boolean;
    }[];
  }[];
}

/** What a data set becomes, and what is wrong with it, as one HTML page; see `page`. Every text is escaped. */
export function renderDataReport(data: DataReportData): string {
  const { facts, warnings, histogram, examples } = data;
  const sections = [
    section("Worth a look", warningTable(warnings)),
    section("The data", factList(facts)),
    section("Rows by length in tokens", histogramFigure(histogram)),
    examples.length > 0 &&
      section("Rows token by token", legend + examples.map(exampleFigure).join("\n")),
  ];
  return page(data, sections, dataStyle);
}

const legend =
  '<p class="legend">The model learns to write what is <mark>marked</mark>; the rest it is only given. Hover over a token for its id.</p>\n';

const dataStyle = `
.legend { color: var(--quiet); margin: 0 0 1rem; }
.tokens { white-space: pre-wrap; padding: 0.6rem 0.75rem; background: var(--panel); border-radius: 4px;
  font: 0.875rem/1.7 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; max-height: 30rem; overflow: auto; }
.tokens span, .tokens mark { border-right: 1px solid var(--rule); color: inherit; }
mark, .tokens mark { background: color-mix(in srgb, var(--curve-training) 22%, transparent); color: inherit; }
.tokens .control { font-style: italic; color: var(--quiet); }
.tokens mark.control { color: inherit; }
.rows + .rows { margin-top: 1.25rem; }
.rows h3 { margin: 0 0 0.4rem; font-size: 0.9375rem; font-weight: 600; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 0.3rem 0.75rem; align-items: center;
  font-variant-numeric: tabular-nums; margin: 0; }
.bars .bar { height: 1.1rem; background: var(--curve-training); border-radius: 2px; min-width: 1px; }
.bars .label { text-align: right; font-size: 0.875rem; }
.warnings td:first-child { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; font-weight: 600; width: 1%; }
.warnings tbody tr { border-bottom: 1px solid var(--rule); break-inside: avoid; }
`;

function warningTable(warnings: DataReportData["warnings"]): string {
  if (warnings.length === 0) return "<p>Nothing was found.</p>";
  const rows = warnings.map(({ message, count, places }) => {
    const more = count > places.length ? ", …" : "";
    const where =
      places.length === 0 ? "" : `<small>${escapeHtml(places.join(", ") + more)}</small>`;
    const rows =
      count === 0 ? "all rows" : `${count.toLocaleString("en")} ${count === 1 ? "row" : "rows"}`;
    return `<tr><td>${rows}</td><td>${escapeHtml(message)}${where}</td></tr>`;
  });
  return `<table class="warnings"><tbody>\n${rows.join("\n")}\n</tbody></table>`;
}

function histogramFigure(histogram: DataReportData["histogram"]): string {
  const most = Math.max(1, ...histogram.map(({ count }) => count));
  const bars = histogram.map(({ from, to, count }) => {
    const width =
      count === 0 ? "visibility: hidden" : `width: ${((100 * count) / most).toFixed(2)}%`;
    return `<span class="label">${from}–${to}</span><span class="bar" style="${width}"></span><span>${count.toLocaleString("en")}</span>`;
  });
  return `<figure><div class="bars">\n${bars.join("\n")}\n</div></figure>`;
}

function exampleFigure({ heading, tokens }: DataReportData["examples"][number]): string {
  const spans = tokens.map(({ id, piece, target }) => {
    const tag = target ? "mark" : "span";
    const control = /^<[^<>]+>$/.test(piece) && !/^<0x[0-9A-F]{2}>$/.test(piece);
    return `<${tag} title="${id}"${control ? ' class="control"' : ""}>${escapeHtml(shown(piece))}</${tag}>`;
  });
  return `<div class="rows"><h3 dir="auto">${escapeHtml(heading)}</h3><div class="tokens" dir="auto">${spans.join("")}</div></div>`;
}

/** A piece as the text it stands for; a line break is seen and made. */
const shown = (piece: string): string => piece.replaceAll("▁", " ").replaceAll("\n", "⏎\n");
