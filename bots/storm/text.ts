/**
 * A storm's report for people.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { stormOutcome } from "../results/outcome.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { tallyText } from "../measures/tally.ts";
import type { StormReport } from "./report.ts";

/**
 * The report: the answer, one table, and what happened; without a line feed at its end.
 *
 * @param isVerbose Adds the address, the attempts, and the server's words.
 */
export function stormText(report: StormReport, isVerbose = false): string {
  const { invalid_because, outage_ms, outages, struck, n } = report;
  const times = outages > struck ? `, ${outages} times in all` : "";
  return [
    ...wrapped(`verdict: ${verdict(report)}`, "", "  "),
    ...invalid_because.flatMap((why) => wrapped(why, "  ")),
    ...(outage_ms === null ? [] : [
      "",
      `seconds        ${Object.keys(outage_ms).map((name) => name.padStart(9)).join("")}`,
      `a bot's outage ${Object.values(outage_ms).map(cell).join("")}`,
    ]),
    "",
    ...wrapped(
      `${struck} of ${counted(n, "bot")} lost their connection${times}, within ` +
        `${seconds(report.loss_span_ms)}; most that came back in one second: ` +
        report.peak_reconnects_per_s,
    ),
    ...(isVerbose ? detailLines(report) : []),
  ].join("\n");
}

function verdict(report: StormReport): string {
  const { struck, still_out, took_ms } = report;
  switch (stormOutcome(report)) {
    case "invalid":
      return "INVALID: this was no storm of all bots";
    case "failed":
      return `FAILED: ${still_out} of ${counted(struck, "bot")} are still out`;
    case "passed":
      return `all are back, the last ${seconds(took_ms!)} after the first loss`;
  }
}

function detailLines(report: StormReport): string[] {
  const { target, subscribed, attempts, failed_attempts, told, appointments } = report;
  const failed = tallyText(failed_attempts);
  return [
    `${counted(subscribed, "bot")} subscribed at ${target.host} port ${target.port}`,
    `${counted(attempts, "attempt")} to connect${failed === "" ? "" : `, failed: ${failed}`}`,
    `the server said: ${tallyText(told) || "nothing"}; when to come back, ` +
    (appointments === 0 ? "it didn't say" : `${counted(appointments, "time")}`),
  ].flatMap((line) => wrapped(line, "", "  "));
}

function cell(ms: number): string {
  return (ms / 1000).toFixed(2).padStart(9);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
