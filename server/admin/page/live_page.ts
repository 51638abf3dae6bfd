/**
 * The live page, as one HTML file that needs nothing else: its charts are drawn by uPlot, whose script is in
 * it, and its content security policy allows these scripts and styles and no others.
 *
 * @module
 */

import { createHash } from "node:crypto";
// Bun's checker knows no texts but those of .txt files.
// @ts-ignore: it is a text
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
// @ts-ignore: it is a text
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import template from "./page.html" with { type: "text" };
// @ts-ignore: it is a text
import textScript from "./page_text.js" with { type: "text" };
// @ts-ignore: it is a text
import chartsScript from "./page_charts.js" with { type: "text" };
// @ts-ignore: it is a text
import statusScript from "./page.js" with { type: "text" };
// @ts-ignore: it is a text
import pageStyle from "./page.css" with { type: "text" };

const pageScript = `(() => {"use strict";\n${textScript}${chartsScript}${statusScript}})();`;

/** The page's text. */
export const PAGE: string = [
  ["style", "UPLOT_STYLE", uplotStyle],
  ["style", "PAGE_STYLE", pageStyle],
  ["script", "UPLOT_SCRIPT", uplotScript],
  ["script", "PAGE_SCRIPT", pageScript],
].reduce(
  // The policy's hashes are of all that stands between the tags.
  (page, [tag, place, text]) =>
    page.replace(
      new RegExp(`<${tag}>\\s*/\\*${place}\\*/\\s*</${tag}>`),
      () => `<${tag}>${text}</${tag}>`,
    ),
  String(template),
);

/** Its `Content-Security-Policy`. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `script-src ${hashOf(uplotScript)} ${hashOf(pageScript)}`,
  `style-src ${hashOf(uplotStyle)} ${hashOf(pageStyle)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
