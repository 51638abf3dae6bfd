/**
 * Shows what a server does, once a second; see `--help`.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { answer, runCommand } from "../cli/command.ts";
import { CommandLine, EnvironmentError } from "../cli/command_line.ts";
import { ADMIN_FLAGS, ADMIN_HELP, AdminClient } from "./admin_client.ts";
import { ratesBetween, type ServerStatus } from "./server_status.ts";
import { lineOf, screenOf } from "./top_text.ts";

const HELP = `Hotwheels top: shows what a server does, once a second.

Usage:
  hotwheels top [URL] [flags]
  deno task -q top [URL] [flags]
  bun run commands/top.ts [URL] [flags]

Flags:
  --count N        end after N looks

${ADMIN_HELP}

  -h, --help       print this
  --version        print the version

In a terminal it draws the screen anew each second: the last large pass and
those of the last minute, load, workers, the largest topics, and the slowest
subscribers by name. In a pipe it prints a line a second. Ctrl-C ends it.

The exit status is 0 after N looks, or when standard output is closed; 1 when
the server's admin port can't be reached at first; 2 when the command line is
wrong.

Examples:
  hotwheels top
  hotwheels top 10.0.0.7:8082 --key-file keys
  hotwheels top --count 60 > minute.log
`;

const INTERVAL_MS = 1_000;
const MAX_COUNT = 1_000_000_000;

/** The screen beside the one with the shell's history, without a cursor; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const REST_OF_LINE = "\x1b[K";
const REST_OF_SCREEN = "\x1b[J";

/** The size of a terminal that doesn't say. */
const USUAL_SIZE = { columns: 80, rows: 24 };

if (import.meta.main) await runCommand("top", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, [...ADMIN_FLAGS, "count"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [url] = line.upTo(1, "the URL is all");
  const count = line.number("count", 1, MAX_COUNT) ?? Infinity;
  const client = AdminClient.of(url, line);
  let now = await statusOf(client);
  let before: ServerStatus | undefined;
  // A reader that has seen enough ends the command, and is no error.
  process.stdout.on("error", () => process.exit(0));
  const isTerminal = process.stdout.isTTY === true;
  if (isTerminal) enterScreen();
  for (let shown = 0;;) {
    const rates = ratesBetween(before, now);
    if (isTerminal) draw(screenOf(now, rates, sizeOf(process.stdout)));
    else process.stdout.write(`${lineOf(now, rates)}\n`);
    if (++shown >= count) return 0;
    before = now;
    now = await nextStatus(client, now, isTerminal);
  }
}

/** The next status, a second later; while there is none, it says so. */
async function nextStatus(client: AdminClient, last: ServerStatus, isTerminal: boolean) {
  for (;;) {
    await sleep(INTERVAL_MS);
    try {
      return await statusOf(client);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      const silentS = Math.round((Date.now() - last.time_ms) / 1000);
      const text = `no answer for ${silentS} s: ${error.message}`;
      if (isTerminal) draw([text]);
      else process.stdout.write(`${new Date().toISOString()} ${text}\n`);
    }
  }
}

async function statusOf(client: AdminClient): Promise<ServerStatus> {
  const response = await client.get("/status.json");
  try {
    return await response.json() as ServerStatus;
  } catch (cause) {
    throw new EnvironmentError(`${client.url} is no admin port of a Hotwheels server`, { cause });
  }
}

function sizeOf(stdout: { readonly columns?: number; readonly rows?: number }) {
  const { columns = USUAL_SIZE.columns, rows = USUAL_SIZE.rows } = stdout;
  return { columns, rows };
}

function enterScreen(): void {
  process.stdout.write(ENTER);
  process.on("exit", () => process.stdout.write(LEAVE));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(0));
  }
}

function draw(lines: readonly string[]): void {
  const text = lines.map((line) => line + REST_OF_LINE).join("\n");
  process.stdout.write(HOME + text + REST_OF_SCREEN);
}
