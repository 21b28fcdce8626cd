/**
 * The style sheet of a report. Dark colours are for screens alone, so that a dark desktop still
 * prints black on white; below 40rem the tables stack, each cell under its label.
 */
export const reportStyle = `
:root {
  --text: #1c1f23; --quiet: #59616b; --ground: #ffffff; --panel: #f5f6f7; --rule: #d8dce0;
  --curve-training: #2a62a8; --curve-validation: #b4530f;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --text: #e4e6e9; --quiet: #a2a9b2; --ground: #16181b; --panel: #1f2226; --rule: #383d44;
    --curve-training: #7fb0ea; --curve-validation: #f0a05c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 53rem;
  color: var(--text); background: var(--ground);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%; text-size-adjust: 100%;
}
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; font-weight: 650; }
h2 { margin: 2.75rem 0 0.75rem; font-size: 1.15rem; line-height: 1.3; font-weight: 650; break-after: avoid; }
h3 { margin: 1.25rem 0 0.5rem; font-size: 1rem; line-height: 1.3; font-weight: 600; break-after: avoid; }
ul { margin: 0; padding-left: 1.25rem; }
header p { margin: 0.35rem 0 0; color: var(--quiet); }
figcaption, small { font-size: 0.875rem; color: var(--quiet); }
small { display: block; font-weight: 400; }
figure { margin: 0; break-inside: avoid; }
figcaption { margin-top: 0.5rem; max-width: 42rem; }
figure svg { display: block; max-width: 100%; height: auto; }
figure .narrow { display: none; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.55rem 1rem 0.55rem 0; text-align: left; vertical-align: top; }
thead th { font-size: 0.875rem; font-weight: 600; color: var(--quiet); border-bottom: 1px solid var(--rule); }
.scores th[scope="row"] { font-weight: 600; }
.scores td { font-variant-numeric: tabular-nums; }
.scores td:not(:last-child) { white-space: nowrap; }
.scores tbody tr { border-bottom: 1px solid var(--rule); break-inside: avoid; }
.samples { table-layout: fixed; }
.samples tbody { border-bottom: 1px solid var(--rule); break-inside: avoid; }
.samples td { padding: 0.6rem 0.5rem 1rem 0; }
.samples thead th { padding: 0.4rem 0; }
.samples th[scope="rowgroup"] { padding: 0.75rem 0 0; font-weight: 400; }
.samples td + td { padding-right: 0; padding-left: 0.5rem; }
.samples th + th { padding-left: 0.5rem; }
.text { white-space: pre-wrap; tab-size: 4; text-align: start; font-size: 0.9375rem; }
.text.empty { color: var(--quiet); font-style: italic; }
.label, .samples td::before { display: block; font-size: 0.8125rem; color: var(--quiet); }
.samples td .text { padding: 0.6rem 0.75rem; background: var(--panel); border-radius: 4px; }
.samples th .text { font-weight: 600; }
dl { margin: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 0 2rem; }
dl div { padding: 0.5rem 0; border-top: 1px solid var(--rule); break-inside: avoid; }
dt { font-size: 0.875rem; color: var(--quiet); }
dd { margin: 0; white-space: pre-wrap; }
pre {
  margin: 0; padding: 0.8rem 1rem; background: var(--panel); border-radius: 4px;
  white-space: pre-wrap; font: 0.9rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.4rem; }
  figure .wide { display: none; }
  figure .narrow { display: block; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  th, td { padding: 0; }
  .scores tbody tr { padding: 0.7rem 0; }
  .scores th { margin-bottom: 0.3rem; }
  .scores td { display: flex; gap: 1rem; }
  .scores td::before { content: attr(data-label); flex: 0 0 6rem; color: var(--quiet); }
  .samples tbody { padding: 1rem 0; }
  .samples td, .samples td + td, .samples th[scope="rowgroup"] { padding: 0; }
  .samples td { margin-top: 0.75rem; }
  .samples td::before { content: attr(data-label); margin-bottom: 0.2rem; }
}
@media print {
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  .samples td .text, pre { border: 1px solid var(--rule); }
}
`;
