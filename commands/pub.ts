/**
 * Publishes one message; see `--help`.
 *
 * @module
 */

import { answer, print, runCommand } from "../cli/command.ts";
import { CommandLine, quote, UsageError } from "../cli/command_line.ts";
import { MAX_TIMESTAMP_BYTES, writeTimestamp } from "../protocol/timestamp.ts";
import { topicProblem } from "../protocol/topic.ts";
import { ServerClient } from "./server_client.ts";
import { SERVER_FLAGS, SERVER_HELP, serverOptions } from "./server_options.ts";

const HELP = `Hotwheels pub: publishes one message.

Usage:
  hotwheels pub TOPIC JSON [flags]
  deno task -q pub TOPIC JSON [flags]
  bun run commands/pub.ts TOPIC JSON [flags]

  TOPIC            the topic, 1 to 256 bytes
  JSON             the message's data: any JSON, sent as it is spelled, such as
                   '"hello"', 42 or '{"a": 1}'

Flags:
  --receipt        print what became of the message: how many subscribers it
                   matched, and for how many it was written, had to wait, or
                   was dropped since they didn't keep up
  --json           print the receipt as JSON, with the message's timestamp
                   [megaseconds, seconds, microseconds]; implies --receipt

${SERVER_HELP}

  -h, --help       print this
  --version        print the version

The command ends when the server has handed the message to all subscribers.

The exit status is 0 when the server has accepted the message; 1 when not; 2
when the command line is wrong.

Examples:
  hotwheels pub events '"hello"'
  deno task -q pub events '{"a": 1}' --receipt
`;

if (import.meta.main) await runCommand("pub", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, SERVER_FLAGS, ["tls", "receipt", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [topic, json] = line.upTo(2, "TOPIC and JSON are all");
  if (topic === undefined || json === undefined) {
    throw new UsageError(`${topic === undefined ? "TOPIC" : "JSON"} is missing; see --help`);
  }
  const problem = topicProblem(topic);
  if (problem !== undefined) throw new UsageError(`TOPIC ${quote(topic)} ${problem}`);
  const message = `{"topic":${JSON.stringify(topic)},"data":${checkJson(json)}}`;
  const server = new ServerClient(serverOptions(line));
  const hotwheels = await server.connect({ retry: { attempts: 1 } });
  const receipt = await server.answered(hotwheels.publish(message));
  // The process ends as soon as this has begun.
  void hotwheels.close();
  const { timestamp, ...counts } = receipt;
  if (line.has("json")) {
    return print(`{"timestamp":${timestampText(timestamp)},"receipt":${JSON.stringify(counts)}}`);
  }
  if (!line.has("receipt")) return 0;
  const { matched, written, queued, evicted } = counts;
  return print(`matched ${matched}, written ${written}, queued ${queued}, evicted ${evicted}`);
}

/** A timestamp as it is on the wire. */
function timestampText(micros: number): string {
  const text = new Uint8Array(MAX_TIMESTAMP_BYTES);
  return new TextDecoder().decode(text.subarray(0, writeTimestamp(micros, text, 0)));
}

function checkJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch (cause) {
    throw new UsageError(
      `JSON must be JSON, such as '"hello"' in quotes of both kinds, 42 or '{"a": 1}', ` +
        `not ${quote(text)}`,
      { cause },
    );
  }
}
