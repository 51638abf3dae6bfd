/**
 * The command line of the soak.
 *
 * @module
 */

import { CommandLine, type Question, quote, UsageError } from "../../runtime/command_line.ts";
import { MAX_SEED } from "../compare/random.ts";
import { MAX_WORKERS } from "../limits.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../program.ts";
import { parseHostAndPort } from "../server_address.ts";
import { DOOR_NAMES, type DoorName } from "./door.ts";

/** What a soak does. */
export interface SoakOptions {
  /** Whose servers are started; none where a server is given. */
  readonly runtimes: readonly RuntimeName[];
  /** A server that runs already. */
  readonly target: { readonly host: string; readonly port: number } | null;
  /** Under load, each server. */
  readonly durationMs: number;
  readonly workers: number;
  /** Of each runtime a server behind each. */
  readonly doors: readonly DoorName[];
  /** `null` for never. */
  readonly killEveryMs: number | null;
  readonly subscribers: number;
  /** `null` draws one. */
  readonly seed: number | null;
  /** A file, `-` for standard output, or nowhere. */
  readonly json: string | null;
}

/** What the command line asks for. */
export type SoakCommand =
  | { readonly does: "run"; readonly options: SoakOptions }
  | Question;

const VALUE_FLAGS = [
  "minutes",
  "runtime",
  "target",
  "workers",
  "door",
  "kill-every",
  "subscribers",
  "seed",
  "json",
] as const;

const MAX_MINUTES = 7 * 24 * 60;
const MAX_SUBSCRIBERS = 5_000;

/** A server gives up when five of its workers die within a minute. */
const MAX_KILLS_A_MINUTE = 3;

/** What `--help` prints. */
export const HELP = `Hotwheels soak: attacks a server in every way at once, and checks that nobody
else is harmed.

Usage:
  deno task -q soak [flags]
  bun run bots/soak.ts [flags]

  --minutes M       how long each server is under load (default 10; 0.5 is half
                    a minute)
  --runtime R       deno or bun: start this checkout's server on R (default: on
                    both, one after the other)
  --target H:P      soak the server at host H, port P instead; its memory isn't
                    looked at
  --workers N       the server's processes (default 2)
  --kill-every T    kill one worker every T, such as 30s, and ask one to end in
                    the middle between two kills (default 60s; needs two workers
                    or more)
  --door D          open or locked: one server only, either for everybody over
                    plain TCP, or for those with a key over TLS (default: both
                    at once, with half of the subscribers each)
  --subscribers N   healthy subscribers (default 200)
  --seed S          draw the attacks from S again (default: a new one, which is
                    printed)
  --json FILE       write the report as JSON to FILE too; - for standard output,
                    which sends the text to standard error
  -h, --help        print this
  --version         print the version

Healthy subscribers come, go and change topics while publishers send to them,
paced and in bursts, over kept connections and, where no key is wanted, as in
2009. Around them, in random order: silent connections, half frames, a byte a
second, frames without an end, garbage, deep JSON, publish floods, connect and
reset, floods and churn of connections, of subscriptions and of topics,
subscribers that never read, read slowly, or read just enough; behind TLS also
wrong keys, strangers without one, handshakes that don't begin or don't end, and
certificates that change. Every healthy stream is checked for gaps, duplicates,
order and damage, and every receipt that a publisher asked for; a stream on a
worker that is made to end ends there, and none of another's may. Memory after
the first minute is compared with memory at the end, by means over a fifth of
the time each, and may grow by 10 %; where the soak is too short for that, it
says so. In the end the server must have let go of its descriptors, answer, and
stop with status 0.

Ctrl-C, SIGTERM and SIGHUP end the servers and report those whose soak is over;
a second signal ends everything at once.

The exit status is 0 when all held, 1 when not or when the soak couldn't take
place, 2 when the command line is wrong; 128 and the signal's number after a
signal.
`;

/**
 * Reads the command line.
 *
 * @param args What follows the script's name.
 * @throws {UsageError} if anything isn't as {@linkcode HELP} has it.
 */
export function parseCommand(args: readonly string[]): SoakCommand {
  const line = new CommandLine(args, VALUE_FLAGS);
  if (line.question !== undefined) return line.question;
  line.upTo(0, "there are only flags");
  const target = line.text("target");
  const runtime = line.choice("runtime", RUNTIME_NAMES);
  if (target !== undefined) refuseBeside(line, ["runtime", "workers", "door", "kill-every"]);
  const door = line.choice("door", DOOR_NAMES);
  const durationMs = minutes(line.text("minutes") ?? "10") * 60_000;
  const workers = line.number("workers", 1, MAX_WORKERS) ?? 2;
  return {
    does: "run",
    options: {
      runtimes: target !== undefined ? [] : runtime !== undefined ? [runtime] : RUNTIME_NAMES,
      target: target === undefined ? null : hostAndPort(target),
      durationMs,
      workers,
      doors: target !== undefined ? ["open"] : door !== undefined ? [door] : DOOR_NAMES,
      killEveryMs: target === undefined
        ? killEvery(line.duration("kill-every"), workers, durationMs)
        : null,
      subscribers: line.number("subscribers", 1, MAX_SUBSCRIBERS) ?? 200,
      seed: line.number("seed", 0, MAX_SEED) ?? null,
      json: line.text("json") ?? null,
    },
  };
}

function refuseBeside(
  line: CommandLine<typeof VALUE_FLAGS[number], never>,
  names: readonly (typeof VALUE_FLAGS[number])[],
): void {
  for (const name of names) {
    if (line.text(name) === undefined) continue;
    throw new UsageError(`--${name} is for a server that the soak starts: not beside --target`);
  }
}

function minutes(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (value > 0 && value <= MAX_MINUTES) return value;
  throw new UsageError(`--minutes must be a number up to ${MAX_MINUTES}, not ${quote(text)}`);
}

function killEvery(
  askedMs: number | undefined,
  workers: number,
  durationMs: number,
): number | null {
  if (workers === 1) {
    if (askedMs === undefined) return null;
    throw new UsageError("--kill-every needs --workers 2 or more: somebody has to survive");
  }
  const everyMs = askedMs ?? 60_000;
  if (Math.min(durationMs, 60_000) / everyMs > MAX_KILLS_A_MINUTE) {
    throw new UsageError(
      `--kill-every ${
        everyMs / 1000
      }s would kill more than ${MAX_KILLS_A_MINUTE} workers a minute, ` +
        `and a server gives up when five die; make it at least 20s`,
    );
  }
  return everyMs;
}

function hostAndPort(text: string): { host: string; port: number } {
  const { host, port } = parseHostAndPort(text);
  if (port === null) throw new UsageError(`--target must be host:port, not ${quote(text)}`);
  return { host, port };
}
