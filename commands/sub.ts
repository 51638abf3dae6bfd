/**
 * Prints the messages of topics; see `--help`.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { answer, runCommand } from "../cli/command.ts";
import { CommandLine, EnvironmentError, quote, UsageError } from "../cli/command_line.ts";
import { complain } from "../cli/say.ts";
import type { Messages, Status } from "../client/mod.ts";
import { topicProblem } from "../protocol/topic.ts";
import { Arrivals } from "./arrivals.ts";
import { inOneLine, memberText } from "./message_text.ts";
import { Returns } from "./returns.ts";
import { ServerClient } from "./server_client.ts";
import { SERVER_FLAGS, SERVER_HELP, serverOptions } from "./server_options.ts";

const HELP = `Hotwheels sub: prints the messages of topics, one a line.

Usage:
  hotwheels sub TOPIC [TOPIC ...] [flags]
  deno task -q sub TOPIC [TOPIC ...] [flags]
  bun run commands/sub.ts TOPIC [TOPIC ...] [flags]

Flags:
  --json           print each message whole, with its topic and its timestamp
                   [megaseconds, seconds, microseconds]; without it, only its
                   data, or the whole of a message without data
  --count N        end after N messages
  --reconnect      come back when the connection is lost or the server ends it,
                   and go on where it was; standard error says when, and where
                   messages may be missing

${SERVER_HELP}

  -h, --help       print this
  --version        print the version

Messages are printed as they are spelled, except that line breaks between
tokens become blanks, and characters that act on a terminal are escaped. When
the server has subscribed, a line on standard error says so.

The exit status is 0 after N messages, or when standard output is closed; 1 when
the server can't be reached, or ends the connection, but with --reconnect only
when coming back can't help; 2 when the command line is wrong.

Examples:
  hotwheels sub events
  deno task -q sub events --json --count 1
`;

const STANDARD_OUTPUT = 1;

/** Milliseconds after which a full pipe that doesn't block is tried again. */
const RETRY_MS = 10;

const MAX_COUNT = 1_000_000_000;

if (import.meta.main) await runCommand("sub", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, [...SERVER_FLAGS, "count"], ["tls", "json", "reconnect"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const topics = line.positionals;
  if (topics.length === 0) throw new UsageError("TOPIC is missing; see --help");
  for (const topic of topics) {
    const problem = topicProblem(topic);
    if (problem !== undefined) throw new UsageError(`TOPIC ${quote(topic)} ${problem}`);
  }
  const count = line.number("count", 1, MAX_COUNT) ?? Infinity;
  const server = new ServerClient(serverOptions(line));
  const isWhole = line.has("json");
  const over = Promise.withResolvers<void>();
  let isOver = false;
  let printed = 0;
  const arrivals = new Arrivals(({ json }) => {
    if (isOver) return;
    try {
      const text = isWhole ? json : memberText(json, "data") ?? json;
      isOver = !write(inOneLine(text) + "\n") || ++printed === count;
      if (isOver) over.resolve();
    } catch (error) {
      isOver = true;
      over.reject(error);
    }
  });
  const abort = new AbortController();
  const { signal } = abort;
  const returns = line.has("reconnect") ? new Returns() : undefined;
  const onStatus = (status: Status) => {
    if (returns === undefined) {
      if (status.state === "closed" && !status.isFinal) abort.abort(status.why);
      return;
    }
    const text = returns.lineOf(status, (why) => (server.explain(why) as Error).message);
    if (text !== undefined) complain(`sub: ${text}`);
  };
  const retry = returns === undefined ? { attempts: 1 } : {};
  const hotwheels = await server.connect({ onStatus, retry, signal });
  const subscriptions = [...new Set(topics)].map((topic) => hotwheels.subscribe(topic));
  arrivals.take(subscriptions, (error) => abort.abort(error))
    .then(() => over.reject(server.explain(signal.reason)));
  // Messages that have come are printed before a reason to end counts.
  over.promise.catch(() => {});
  if (await areReady(server, subscriptions, abort)) {
    complain(`sub: subscribed to ${topics.map(quote).join(", ")} at ${server.address}`);
  }
  await over.promise;
  // The process ends as soon as this has begun.
  void hotwheels.close();
  return 0;
}

/** Waits until the server has subscribed the client to all. If it doesn't, everything ends. */
async function areReady(
  server: ServerClient,
  subscriptions: readonly Messages[],
  abort: AbortController,
): Promise<boolean> {
  try {
    for (const { ready } of subscriptions) await server.answered(ready);
    return true;
  } catch (error) {
    abort.abort(error);
    return false;
  }
}

/**
 * Writes to standard output, however slow its reader is: meanwhile nothing is read from the server.
 *
 * @returns False if the reader is gone.
 * @throws {EnvironmentError} if it can't be written for another reason.
 */
function write(text: string): boolean {
  for (let rest = new TextEncoder().encode(text); rest.length > 0;) {
    try {
      rest = rest.subarray(writeSync(STANDARD_OUTPUT, rest));
    } catch (cause) {
      const { code, message } = cause as Error & { readonly code?: string };
      if (code === "EPIPE") return false;
      if (code !== "EAGAIN") {
        throw new EnvironmentError(`can't write to standard output: ${message}`, { cause });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
  return true;
}
