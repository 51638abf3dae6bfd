import { counted } from "../../runtime/counted.ts";
import type { Tally } from "../enlistment.ts";
import type { StormReport } from "./report.ts";

/** The report for people, without a line feed at its end. */
export function stormText(report: StormReport): string {
  const { n, subscribed, struck, still_out, outages, took_ms, outage_ms, target } = report;
  const to = `${target.host} port ${target.port}`;
  const isGood = still_out === 0;
  const outageLine = outage_ms === null ? "nobody came back" : "a bot's outage: " +
    Object.entries(outage_ms).map(([name, ms]) => `${name} ${seconds(ms)}`).join(", ");
  return [
    `${counted(n, "bot")}, ${subscribed} subscribed at ${to}; ${struck} lost their connection` +
    (outages > struck ? `, ${outages} times in all` : ""),
    `lost within ${seconds(report.loss_span_ms)}; ` +
    (took_ms === null
      ? "none was subscribed again"
      : `the last was subscribed again ${seconds(took_ms)} after the first loss`),
    outageLine,
    `most reconnects in a second: ${report.peak_reconnects_per_s}; ` +
    counted(report.attempts, "attempt") +
    tallyText(report.failed_attempts, ", failed: "),
    `the server said${tallyText(report.told, " ") || " nothing"}; when to come back, ` +
    (report.appointments === 0 ? "it didn't say" : `${report.appointments} times`),
    `verdict: ${isGood ? "all are back" : `${still_out} of ${struck} are still out`}`,
  ].join("\n");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function tallyText(tally: Tally, before: string): string {
  const parts = Object.entries(tally).map(([reason, count]) => `${count} ${reason}`);
  return parts.length === 0 ? "" : before + parts.join(", ");
}
