/**
 * The style of the report's page.
 *
 * @module
 */

/**
 * Screens of at least `WIDE` CSS pixels are wide, below `NARROW` they are narrow, and middle between. An
 * element with a class of that name is shown on such screens only; with `paper`, when printed.
 */
const WIDE = 960;
const NARROW = 640;

const LIGHT = `
  --page: #f6f7f9; --surface: #ffffff; --ink: #16202c; --muted: #56636f; --grid: #e3e7ec;
  --band: rgba(86, 99, 111, 0.16); --good: #0a6b3d; --bad: #a8321a;
  --arm-0: #0b62b8; --arm-1: #d4570a; --arm-2: #0c8563; --arm-3: #a33c86; --arm-4: #7a6300;
  --arm-5: #5b4bb7;`;

const DARK = `
  --page: #10151b; --surface: #182029; --ink: #e7ecf1; --muted: #9dabb8; --grid: #2b3642;
  --band: rgba(157, 171, 184, 0.2); --good: #5fd39a; --bad: #ff9b7d;
  --arm-0: #5aa9f2; --arm-1: #ff9447; --arm-2: #3fcfa3; --arm-3: #e383c5; --arm-4: #d8bb3c;
  --arm-5: #a598f5;`;

/** The style sheet. It fetches nothing. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: anywhere; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 1.1rem; margin: 0 0 12px; color: var(--muted); font-weight: 600; }
h2 { font-size: 1.35rem; margin: 44px 0 4px; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 8px 0; max-width: 75ch; }
.verdict { font-size: 1.6rem; line-height: 1.32; font-weight: 650; margin: 0 0 12px; max-width: 38em;
  text-wrap: pretty; }
.verdict + .verdict { font-size: 1.2rem; }
.muted, figcaption p, .remarks { color: var(--muted); font-size: 0.93rem; }
.remarks { margin: 10px 0 0; padding-left: 1.2em; }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 10px 0 0; list-style: none; }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 7px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr));
  gap: 18px; margin-top: 16px; }
figure { margin: 0; padding: 16px 16px 8px; background: var(--surface); border: 1px solid var(--grid);
  border-radius: 10px; break-inside: avoid; min-width: 0; }
figcaption p { margin: 2px 0 8px; max-width: none; }
figure:only-child { grid-column: 1 / -1; }
figure svg { display: block; width: 100%; height: auto; }
.thirds { grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); }
.wide, .middle, .narrow, .paper { display: none; }
.table { margin-top: 16px; background: var(--surface); border: 1px solid var(--grid);
  border-radius: 10px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 14px; vertical-align: top; }
thead th { color: var(--muted); font-weight: 600; font-size: 0.85rem; overflow-wrap: normal; }
.number { text-align: right; }
td.number, td.said { white-space: nowrap; }
tr.first > * { border-top: 1px solid var(--grid); }
tbody th { font-weight: 600; white-space: nowrap; }
.facts th { width: 15em; color: var(--muted); }
.facts tr > * { border-top: 1px solid var(--grid); }
.facts tr:first-child > * { border-top: 0; }
.good { color: var(--good); font-weight: 650; }
.bad { color: var(--bad); font-weight: 650; }
footer { margin-top: 40px; }
@media screen and (min-width: ${WIDE}px) { .wide { display: block; } }
@media screen and (min-width: ${NARROW}px) and (max-width: ${WIDE - 0.02}px) {
  .middle { display: block; }
  .results table { font-size: 0.85rem; }
  .results th, .results td { padding: 5px 8px; }
  .results tbody th { white-space: normal; }
}
@media screen and (max-width: ${NARROW - 0.02}px) {
  .narrow { display: block; }
  main { padding: 20px 14px 40px; }
  .verdict { font-size: 1.3rem; }
  .verdict + .verdict { font-size: 1.1rem; }
  figure { padding: 12px 10px 4px; }
  .results thead { display: none; }
  .results table, .results tbody { display: block; }
  .results tr { display: grid; grid-template-columns: 1fr 5em 9em; padding: 0 0 6px; }
  .results tr.first > * { border-top: 0; }
  .results tr.first:not(:first-child) { border-top: 1px solid var(--grid); }
  .results tbody th { grid-column: 1 / -1; padding: 8px 12px 2px; }
  .results td, .results td.number { padding: 1px 12px; white-space: normal; }
  .results td.number { padding-left: 0; }
  .results th { grid-row: 1; }
  .results td { grid-row: 2; }
  .results td:nth-child(n + 5) { grid-row: 3; }
  .results td:nth-child(5) { grid-column: 2; }
  .results td:nth-child(6) { grid-column: 3; }
  .results td.said { grid-column: 1; }
  .results td:empty, .results tbody th:empty { display: none; }
  .results td.range { color: var(--muted); }
  .facts th { width: 40%; white-space: normal; }
}
@media print {
  .paper { display: block; }
  :root { font-size: 11px; }
  body { background: none; font-size: 1rem; }
  main { max-width: none; padding: 1px; }
  .key i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2 { margin-top: 22px; }
  h2, h2 + .muted, h2 + .key { break-after: avoid; }
  tr { break-inside: avoid; }
  .figures { grid-template-columns: 1fr 1fr; gap: 10px; }
  .thirds { grid-template-columns: 1fr 1fr 1fr; }
  .table, figure { border-radius: 4px; }
  th, td { padding: 3px 8px; }
}
`;
