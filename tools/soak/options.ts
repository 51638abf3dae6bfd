/**
 * The command line of the soak.
 *
 * @module
 */

import { CommandLine, type Question, quote, UsageError } from "../../cli/command_line.ts";
import { MAX_SEED } from "../harness/random.ts";
import { MAX_WORKERS } from "../../bots/run/limits.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { parseHostAndPort } from "../../bots/run/server_address.ts";
import { PROFILE_NAMES, type ProfileName } from "./listener_profile.ts";
import type { LatencyBounds } from "./checks/latency.ts";
import { attacksOn } from "./attacks/attack_rotation.ts";

/** The options of a soak. */
export interface SoakOptions {
  /** The runtimes whose servers are started; none with `--target`. */
  readonly runtimes: readonly RuntimeName[];
  /** A server that already runs. */
  readonly target: { readonly host: string; readonly port: number } | null;
  /** Milliseconds under load for each server. */
  readonly durationMs: number;
  readonly workers: number;
  /** The servers of each cluster; 1 if each server is alone. */
  readonly members: number;
  /** The profiles; each runtime gets one server for each. */
  readonly profiles: readonly ProfileName[];
  /** Milliseconds from one kill to the next; `null` for none. */
  readonly killEveryMs: number | null;
  /** Milliseconds from one strike of any kind to the next, in place of kills; `null` for none. */
  readonly chaosEveryMs: number | null;
  readonly subscribers: number;
  readonly latency: LatencyBounds;
  /**
   * The most bytes that one server's processes may have resident together. The server gets it as its
   * limit.
   */
  readonly maxMemoryBytes: number;
  /** Only attacks whose names contain this text; empty for all. */
  readonly only: string;
  /** The seed; `null` for a random one. */
  readonly seed: number | null;
  /** The file for the JSON report, `-` for standard output, or `null` for none. */
  readonly json: string | null;
}

/** The parsed command line. */
export type SoakCommand =
  | { readonly does: "run"; readonly options: SoakOptions }
  | Question;

const VALUE_FLAGS = [
  "minutes",
  "runtime",
  "target",
  "workers",
  "members",
  "door",
  "kill-every",
  "chaos-every",
  "subscribers",
  "attack",
  "max-p99",
  "max-latency",
  "max-memory",
  "seed",
  "json",
] as const;

/** Flags that only suit servers which the soak starts. */
const BESIDE_NO_TARGET = [
  "runtime",
  "workers",
  "members",
  "door",
  "kill-every",
  "chaos-every",
  "max-memory",
] as const;

const MAX_MINUTES = 7 * 24 * 60;
const MAX_SUBSCRIBERS = 5_000;

/** With so many, a machine has enough to do. */
const MAX_MEMBERS = 4;

/** A server gives up when five of its workers die within a minute. */
const MAX_KILLS_A_MINUTE = 3;

/** The shortest time between strikes. Some strikes take longer; the next one waits then. */
const MIN_CHAOS_MS = 5_000;

/** The default bounds, which a machine of two cores keeps while it does other things too. */
const DEFAULT_LATENCY: LatencyBounds = { p99Ms: 2_000, maxMs: 10_000 };

/** Twice the server's minimum. The process that leads the workers counts as one more. */
const DEFAULT_PROCESS_MEMORY_BYTES = 256 * 1024 * 1024;

/**
 * What each worker of a cluster keeps for other members, so that floods don't push out what these miss while they hang
 * or NATS is away, for four seconds or so: two floods at once publish some 80 MB a second.
 */
export const CLUSTER_LOG_BYTES = 512 * 1024 * 1024;

/** The text of `--help`. */
export const HELP = `Hotwheels soak: attacks a server in every way at once, and checks that no other
client is harmed.

Usage:
  hotwheels soak [flags]
  deno task -q soak [flags]
  bun run tools/soak/main.ts [flags]

  --minutes M       how long each server is under load (default 10; 0.5 is half
                    a minute)
  --runtime R       deno or bun: start this checkout's server on R (default: on
                    both, one after the other)
  --target H:P      soak the server at host H, port P instead; its memory isn't
                    checked
  --workers N       the server's processes (default 2)
  --members M       soak a cluster of M such servers, joined by NATS, which must
                    be installed; clients use all of them, attacks and programs
                    with the client library the first; every --kill-every kill
                    another one, too, with all its workers, and start it again;
                    halfway through kill NATS for 2 s (default 1: no cluster)
  --kill-every T    kill one worker every T, such as 30s; halfway between two
                    kills ask one to end; before each of these stop one for up
                    to 4 s, so that it hangs (default 60s; needs two workers or
                    more)
  --chaos-every T   instead, do one of these every T (20s is a good value), all
                    of them in an order drawn anew each time: kill a worker;
                    ask one to end; stop one for 1 to 15 s; replace all workers
                    by SIGUSR2; deny one further descriptors for 1 to 4 s; cut
                    the links of one; change the certificate; give the server
                    one that it can't use (needs two workers or more; the
                    report says which aren't possible here, and why); with
                    --members also: kill another member; kill NATS for 2 s
  --door D,...      the kinds of servers: open, for all clients over plain TCP;
                    locked, for clients with a key over TLS; tight, as open,
                    but with 16 MiB for pending bytes (default: all at once,
                    with a third of the subscribers each; with --members: open)
  --subscribers N   healthy subscribers (default 200)
  --attack TEXT     only attacks whose names in the report contain TEXT
                    (default: all)
  --max-p99 T       the most that 99 of 100 of a bystander's messages may take
                    (default 2s)
  --max-latency T   the most that each of them may take (default 10s)
  --max-memory B    the server's --max-memory, and the most that its processes
                    may have together (default 268435456 for each worker and
                    once more; with --members three times that for each worker)
  --seed S          draw the attacks from S, to repeat them (default: a new
                    seed, which is printed)
  --json FILE       write the report as JSON to FILE too; - for standard output,
                    which sends the text to standard error
  -h, --help        print this
  --version         print the version

Healthy subscribers come, go and change topics. Publishers send to them, paced
and in bursts, over kept connections and, to servers without keys, as in 2009.
Meanwhile, in random order, other clients attack: silent connections, half
frames, a byte a second, frames without an end, garbage, deep JSON, floods of
large, tiny and escaped messages and of receipts, half frames again and again,
messages that nearly fill the memory and are never completed, connect and reset,
floods and churn of connections, of subscriptions and of topics, subscribers
that never read, read slowly, or read just enough; with TLS also wrong keys,
clients without a key, handshakes that don't begin or don't end, and
certificates that change. Each run of an attack must prove that it attacked: by
the bytes it sent, the answers, and the connections that the server ended. An
attack without proof fails the soak.

A bystander, a publisher of 50 messages a second and its subscriber, runs in a
process and at an address of its own. It must miss nothing, and its latency is
judged, except while its worker is made to hang or end. Every healthy stream is
checked for gaps, duplicates, order and damage, and every receipt that a
publisher asked for. A stream may end only with its worker. When all workers are
replaced, each client is told so before its stream ends; a worker without
descriptors refuses no client without a word.

Programs that use the client library publish and read over TCP and over
WebSocket, in a process on the soak's own runtime. Each message must arrive
once, in its publisher's order, through all breaks. They may be told of a gap
only if a worker's end or hang explains it, or if the server gave up stored
messages for want of memory.

Two of three subscribers say where they were when they come back, after a strike
as after any break. Those that are told that nothing is lost must have
everything, once; only of a process that is named as crashed the last messages
may be missing. None may be told otherwise while the server's history must have
all that it missed.

Memory after the first minute (with --members the second) is compared with
memory at the end, by means over a fifth of the time each, and may grow by 10 %;
if the soak is too short for that, it says so. What members keep of what they
have sent doesn't count. At the end the server must have closed its descriptors,
answer, and stop with status 0 within 11 s, while it is flooded with requests
for receipts.

Ctrl-C, SIGTERM and SIGHUP end the servers and report the servers whose soak is
over; a second signal ends everything at once.

The exit status is 0 when all held, 1 when not or when the soak couldn't take
place, 2 when the command line is wrong; 128 plus the signal's number after a
signal.
`;

/**
 * Reads the command line.
 *
 * @param args The arguments after the script's name.
 * @throws {UsageError} if an argument isn't as {@linkcode HELP} describes it.
 */
export function parseCommand(args: readonly string[]): SoakCommand {
  const line = new CommandLine(args, VALUE_FLAGS);
  if (line.question !== undefined) return line.question;
  line.upTo(0, "there are only flags");
  const target = line.text("target");
  const runtime = line.choice("runtime", RUNTIME_NAMES);
  if (target !== undefined) refuseBeside(line, BESIDE_NO_TARGET);
  const durationMs = minutes(line.text("minutes") ?? "10") * 60_000;
  const workers = line.number("workers", 1, MAX_WORKERS) ?? 2;
  const members = line.number("members", 1, MAX_MEMBERS) ?? 1;
  const chaosEveryMs = chaosEvery(line, workers);
  return {
    does: "run",
    options: {
      runtimes: target !== undefined ? [] : runtime !== undefined ? [runtime] : RUNTIME_NAMES,
      target: target === undefined ? null : hostAndPort(target),
      durationMs,
      workers,
      members,
      profiles: target !== undefined ? ["open"] : profiles(line.text("door"), members),
      killEveryMs: target === undefined && chaosEveryMs === null
        ? killEvery(line.duration("kill-every"), workers * members, durationMs)
        : null,
      chaosEveryMs,
      subscribers: line.number("subscribers", 1, MAX_SUBSCRIBERS) ?? 200,
      latency: {
        p99Ms: line.duration("max-p99") ?? DEFAULT_LATENCY.p99Ms,
        maxMs: line.duration("max-latency") ?? DEFAULT_LATENCY.maxMs,
      },
      maxMemoryBytes: line.number("max-memory", 1, Number.MAX_SAFE_INTEGER) ??
        (workers + 1) * DEFAULT_PROCESS_MEMORY_BYTES +
          (members === 1 ? 0 : workers * CLUSTER_LOG_BYTES),
      only: attack(line.text("attack") ?? ""),
      seed: line.number("seed", 0, MAX_SEED) ?? null,
      json: line.text("json") ?? null,
    },
  };
}

function profiles(text: string | undefined, members: number): readonly ProfileName[] {
  if (text === undefined) return members === 1 ? PROFILE_NAMES : ["open"];
  const names = text.split(",");
  for (const name of names) {
    if (PROFILE_NAMES.some((profile) => profile === name)) continue;
    const known = PROFILE_NAMES.join(", ");
    throw new UsageError(`--door must be some of ${known}, with commas, not ${quote(text)}`);
  }
  return PROFILE_NAMES.filter((profile) => names.includes(profile));
}

function attack(text: string): string {
  if (attacksOn(true).some(({ name }) => name.includes(text))) return text;
  throw new UsageError(
    `--attack must be part of an attack's name as in the report, not ${quote(text)}`,
  );
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

/** @param workers The processes of all members. */
function killEvery(
  askedMs: number | undefined,
  workers: number,
  durationMs: number,
): number | null {
  if (workers === 1) {
    if (askedMs === undefined) return null;
    throw new UsageError("--kill-every needs --workers 2 or more: one worker has to survive");
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

function chaosEvery(
  line: CommandLine<typeof VALUE_FLAGS[number], never>,
  workers: number,
): number | null {
  const everyMs = line.duration("chaos-every");
  if (everyMs === undefined) return null;
  if (workers === 1) {
    throw new UsageError("--chaos-every needs --workers 2 or more: one worker has to survive");
  }
  if (line.text("kill-every") !== undefined) {
    throw new UsageError("--chaos-every kills workers, too: leave --kill-every out");
  }
  if (everyMs >= MIN_CHAOS_MS) return everyMs;
  throw new UsageError(`--chaos-every ${everyMs / 1000}s is too often; make it at least 5s`);
}

function hostAndPort(text: string): { host: string; port: number } {
  const { host, port } = parseHostAndPort(text);
  if (port === null) throw new UsageError(`--target must be host:port, not ${quote(text)}`);
  return { host, port };
}
