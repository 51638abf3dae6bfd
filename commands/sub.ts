/**
 * Prints the messages of topics; see `--help`.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { answer, runCommand } from "../cli/command.ts";
import { CommandLine, EnvironmentError, quote, UsageError } from "../cli/command_line.ts";
import { complain } from "../cli/say.ts";
import { encodeSubscribe } from "../protocol/client_encoder.ts";
import { topicProblem } from "../protocol/topic.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { addressText } from "../runtime/transport_error.ts";
import { Conversation } from "./conversation.ts";
import { inOneLine, memberText } from "./message_text.ts";
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

${SERVER_HELP}

  -h, --help       print this
  --version        print the version

Messages are printed as they are spelled, except that line breaks between
tokens become blanks, and characters that act on a terminal are escaped. When
the server has subscribed, a line on standard error says so.

The exit status is 0 after N messages, or when standard output is closed; 1 when
the server can't be reached, or ends the connection; 2 when the command line is
wrong.

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
  const line = new CommandLine(args, [...SERVER_FLAGS, "count"], ["tls", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const topics = line.positionals;
  if (topics.length === 0) throw new UsageError("TOPIC is missing; see --help");
  for (const topic of topics) {
    const problem = topicProblem(topic);
    if (problem !== undefined) throw new UsageError(`TOPIC ${quote(topic)} ${problem}`);
  }
  const count = line.number("count", 1, MAX_COUNT) ?? Infinity;
  const server = serverOptions(line);
  const isWhole = line.has("json");
  const enough = Promise.withResolvers<void>();
  let printed = 0;
  const onMessage = (message: string) => {
    if (printed >= count) return;
    const text = isWhole ? message : memberText(message, "data") ?? message;
    if (!write(inOneLine(text) + "\n") || ++printed === count) {
      printed = count;
      enough.resolve();
    }
  };
  const conversation = await Conversation.open(await detectRuntime(), server, onMessage);
  for (const topic of topics) await conversation.ask(encodeSubscribe(topic));
  const where = addressText({ transport: "tcp", ...server });
  complain(`sub: subscribed to ${topics.map(quote).join(", ")} at ${where}`);
  await Promise.race([enough.promise, conversation.ended]);
  conversation.close();
  return 0;
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
