/**
 * Describes in words how a comparison was made.
 *
 * @module
 */

import { count } from "../results/format.ts";
import { METRICS } from "../results/metrics.ts";
import type { CompareReport } from "../results/report.ts";
import type { Table } from "./tables.ts";
import { EQUAL_PERCENT } from "../results/verdict.ts";

/** The name and the meaning of each figure, one a row. */
export const MEANINGS: Table = {
  head: ["figure", "what it is"],
  rows: METRICS.map(({ title, unit, meaning }) => [`${title}, ${unit}`, meaning]),
};

/** Paragraphs of plain text. */
export function methodText({ options, arms }: CompareReport): string[] {
  const started = arms.some(({ runtime }) => runtime !== null)
    ? `starts the server as ${
      options.workers === 1 ? "a new process" : `${options.workers} new processes`
    } ` +
      `on the bots' machine, `
    : "";
  const stamped = arms.some(({ dialect }) => dialect === "nats" || dialect === "redis")
    ? "Servers that speak NATS or Redis get the same message with a timestamp that the publisher " +
      "puts in, to plain subscribers. "
    : "";
  const clock = options.agents === undefined
    ? "one clock of the bots' machine"
    : "the clock of the publisher's machine, with which those of the bots' were compared before the " +
      "first message and after the last";
  return [
    `A run ${started}connects n bots, subscribes each to one topic, waits until all is quiet, and ` +
    `publishes over one more connection. The first message warms up and isn't counted; ` +
    `${count(options.rounds, "message")} after it ${
      options.rounds === 1 ? "is" : "are"
    }, each when ` +
    `the one before has reached everybody. ` +
    `A latency is the time from just before the publisher's write to the bot's read, by ${clock}. ` +
    `Each bot checks each byte. ${stamped}` +
    `A run's figure is the median of its messages'.`,
    `Servers take turns in an order drawn anew for each pass, so that no server has the quieter ` +
    `half of the hour. A run is not counted, but made again, when a bot missed, doubled or damaged a ` +
    `message, or when the machine didn't become quiet before the first. A message that the bots ` +
    `themselves held up, for more than a quarter of its maximum and 10 ms, isn't counted; nor is a ` +
    `run that has more of these than of others.`,
    `Runs are what is compared, not messages: the thousands of latencies of one run share its ` +
    `process and its moment. Each figure is a median over runs; its 95 % interval is the percentile ` +
    `bootstrap's, of 20,000 resamples of the runs. A difference is the ratio of two medians, the ` +
    `other server's over the first's, with the same kind of interval: below 1 is better in every ` +
    `figure. It is called one when that interval lies wholly beyond ` +
    `${EQUAL_PERCENT} % and even the 99.9 % interval doesn't reach equal, since a report looks at ` +
    `many figures and at one in twenty a 95 % interval errs. No difference is an interval wholly ` +
    `within ${EQUAL_PERCENT} %. All else is inconclusive: these runs don't tell.`,
  ];
}
