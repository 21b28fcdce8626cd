import { escapeHtml } from "./escapeHtml.js";
import { type Fact, factList, type PageHead, page, section } from "./page.js";
import { figure } from "./svg.js";
import { type PlottedValue, valuePlot } from "./valuePlot.js";

/** A plot of what the runs reached. */
export interface SweepPlot {
  readonly heading: string;
  readonly scale: "linear" | "log";
  readonly x: string;
  readonly points: readonly PlottedValue[];
}

export interface SweepReportData extends PageHead {
  /** "loss" or "accuracy". */
  readonly goal: string;
  /** Titles of the table's columns. */
  readonly columns: readonly string[];
  /** Runs, the best first; as many cells as there are columns. */
  readonly rows: readonly (readonly string[])[];
  readonly plots: readonly SweepPlot[];
  readonly facts: readonly Fact[];
}

/** The report of a sweep as a page (`page`). Every text of `data` is escaped. */
export function renderSweepReport(data: SweepReportData): string {
  const { plots, facts, goal } = data;
  return page(data, [
    section("Runs", runTable(data)),
    ...plots.map(({ heading, scale, x, points }, i) =>
      section(
        heading,
        figure((width) =>
          valuePlot(heading, points, { width, id: `plot-${i}`, scale, x, y: goal }),
        ),
      ),
    ),
    facts.length > 0 && section("The sweep", factList(facts)),
  ]);
}

function runTable({ columns, rows }: SweepReportData): string {
  const head = columns.map((title) => `<th scope="col">${escapeHtml(title)}</th>`);
  const body = rows.map(([first, ...cells]) => {
    const rest = cells.map(
      (cell, i) => `<td data-label="${escapeHtml(columns[i + 1]!)}">${escapeHtml(cell)}</td>`,
    );
    return `<tr><th scope="row">${escapeHtml(first!)}</th>${rest.join("")}</tr>`;
  });
  return `<table class="scores"><thead><tr>${head.join("")}</tr></thead>\n<tbody>${body.join("\n")}</tbody></table>`;
}
