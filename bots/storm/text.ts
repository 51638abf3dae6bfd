/**
 * A storm's report for people.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { stormOutcome } from "../results/outcome.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { tallyText } from "../measures/tally.ts";
import type { ResumptionReport, StormReport } from "./report.ts";

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
    ...resumptionLines(report),
    ...(isVerbose ? detailLines(report) : []),
  ].join("\n");
}

function verdict(report: StormReport): string {
  const { struck, still_out, took_ms, resumption } = report;
  switch (stormOutcome(report)) {
    case "invalid":
      return "INVALID: this was no storm of all bots";
    case "failed":
      if (still_out > 0) return `FAILED: ${still_out} of ${counted(struck, "bot")} are still out`;
      return `FAILED: all are back, with ${brokenPromises(resumption!)}`;
    case "passed":
      return `all are back, the last ${seconds(took_ms!)} after the first loss`;
  }
}

function brokenPromises({ behind, missing, duplicate, wrong }: ResumptionReport): string {
  return [
    ...(behind > 0 ? [`${counted(behind, "bot")} without all that was announced`] : []),
    ...(missing > 0 ? [`${counted(missing, "message")} lost`] : []),
    ...(duplicate > 0 ? [`${counted(duplicate, "message")} that came twice`] : []),
    ...(wrong > 0 ? [`${counted(wrong, "frame")} not as published`] : []),
  ].join(", ");
}

function resumptionLines({ resumption, server_cpu_s }: StormReport): string[] {
  const lines: string[] = [];
  if (resumption !== null) {
    const { published, resumes, recovered, reasons, crashed, missed_messages, level_ms } =
      resumption;
    const missed = missed_messages;
    lines.push(
      `${recovered} of ${counted(resumes, "return")} recovered (${tallyText(reasons) || "none"}` +
        `${crashed > 0 ? `; ${crashed} with an origin that crashed` : ""}), the last bot level ` +
        (level_ms === null ? "at once" : `${seconds(level_ms)} after the first loss`),
      `${counted(published, "message")} published meanwhile; missed by a bot: ` +
        (missed === null ? "none" : `${missed.min} to ${missed.max}, ${missed.p50} in the median`),
    );
  }
  if (server_cpu_s !== null) {
    lines.push(`the server used ${server_cpu_s.toFixed(2)} s of processor`);
  }
  return lines.flatMap((line) => wrapped(line, "", "  "));
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
