/**
 * Prints what some clients say and are sent; see `--help`.
 *
 * @module
 */

import process from "node:process";
import { answer, runCommand } from "../cli/command.ts";
import { CommandLine, EnvironmentError, UsageError } from "../cli/command_line.ts";
import { complain } from "../cli/say.ts";
import { ADMIN_FLAGS, ADMIN_HELP, AdminClient } from "./admin_client.ts";
import { readEvents } from "./event_stream.ts";
import { countText } from "./quantities.ts";
import { inert } from "./top_text.ts";

const HELP = `Hotwheels trace: prints what some clients say and are sent, frame by frame.

Usage:
  hotwheels trace [URL] [flags]
  deno task -q trace [URL] [flags]
  bun run commands/trace.ts [URL] [flags]

Flags, at least one of the first two:
  --topic TOPIC    clients that are subscribed to TOPIC, and what others publish
                   to it
  --address ADDR   clients from ADDR, which may have a port: 10.0.0.7:51324
  --seconds N      for how long, 300 at most (default 10)
  --json           print each frame as JSON, a line each

${ADMIN_HELP}

  -h, --help       print this
  --version        print the version

A line has the time, the client, > for what it says or < for what it is sent,
and the frame. Keys are left out, long frames are cut, and characters that act
on a terminal are escaped. Of more than 200 frames a second and process the rest
is counted on standard error.

The exit status is 0 when the time is over, or standard output is closed; 1 when
the admin port can't be reached, or ends the connection; 2 when the command line
is wrong.

Examples:
  hotwheels trace --topic events
  hotwheels trace 10.0.0.7:8082 --key-file keys --address 192.0.2.4 --seconds 60
`;

const DEFAULT_SECONDS = 10;
const MAX_SECONDS = 300;

/** A frame, as the admin port shows it. */
interface Frame {
  readonly time_ms: number;
  readonly address: string;
  readonly port: number;
  readonly from: "client" | "server";
  readonly text: string;
}

if (import.meta.main) await runCommand("trace", main);

async function main(args: readonly string[]): Promise<number> {
  const flags = [...ADMIN_FLAGS, "topic", "address", "seconds"] as const;
  const line = new CommandLine(args, flags, ["json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [url] = line.upTo(1, "the URL is all");
  const topic = line.text("topic");
  const address = line.text("address");
  if (topic === undefined && address === undefined) {
    throw new UsageError("give --topic TOPIC, --address ADDRESS or both; see --help");
  }
  const seconds = line.number("seconds", 1, MAX_SECONDS) ?? DEFAULT_SECONDS;
  const query = new URLSearchParams({
    seconds: String(seconds),
    ...topic === undefined ? {} : { topic },
    ...address === undefined ? {} : { address },
  });
  const isJson = line.has("json");
  const client = AdminClient.of(url, line);
  const response = await client.get(`/trace?${query}`);
  // A reader that has seen enough ends the command, and is no error.
  process.stdout.on("error", () => process.exit(0));
  complain(`trace: watching ${client.url} for ${seconds} s`);
  try {
    for await (const { name, data } of readEvents(response.body!)) {
      if (name === "end") return 0;
      if (name === "frame") process.stdout.write(`${isJson ? data : lineOf(JSON.parse(data))}\n`);
      else if (name === "skipped") {
        const { frames } = JSON.parse(data) as { readonly frames: number };
        complain(`trace: ${countText(frames)} frames more`);
      }
    }
  } catch (cause) {
    throw new EnvironmentError(`${client.url} has ended the trace: ${(cause as Error).message}`, {
      cause,
    });
  }
  throw new EnvironmentError(`${client.url} has ended the trace`);
}

function lineOf({ time_ms, address, port, from, text }: Frame): string {
  const time = new Date(time_ms).toISOString().slice(11, 23);
  const client = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return `${time} ${client} ${from === "client" ? ">" : "<"} ${inert(text)}`;
}
