/**
 * The part of the command line that is about storms.
 *
 * @module
 */

import { quote, UsageError } from "../../cli/command_line.ts";
import { firstKeyIn } from "../client/keys.ts";
import { type DialectName, isJanus } from "../dialects/dialects.ts";

/** The options of a storm. */
export interface StormOptions {
  /** True if the bots break their connections themselves. */
  readonly cuts: boolean;
  /** True if the bots come back with their positions, and messages are published meanwhile. */
  readonly resumes: boolean;
  /** Milliseconds from one of these messages to the next. */
  readonly everyMs: number;
  /** The server's admin port, which knows its processor time; `null` for none. */
  readonly admin: { readonly url: string; readonly key: string | null } | null;
}

/** Flags for the messages of a run and of a storm whose bots resume; and for those of a run only. */
const MESSAGE_FLAGS = ["rounds", "data", "size"] as const;
const LATENCY_FLAGS = ["timeout", "slo"] as const;

/** Flags for a storm only. */
const STORM_FLAGS = ["every", "admin", "admin-key-file"] as const;

/** The number of messages that are published in a storm whose bots resume. */
export const STORM_ROUNDS = 100;

const STORM_EVERY_MS = 20;

/** The flags that matter to a storm, as they are read. */
interface StormLine {
  text(
    name:
      | typeof MESSAGE_FLAGS[number]
      | typeof LATENCY_FLAGS[number]
      | typeof STORM_FLAGS[number]
      | "agents",
  ): string | undefined;
  duration(name: "every"): number | undefined;
  has(name: "resume" | "cut"): boolean;
}

/** Refuses the flags of a storm where there is none. */
export function refuseStormFlags(line: StormLine): void {
  const given = [
    ...(["resume", "cut"] as const).filter((flag) => line.has(flag)),
    ...STORM_FLAGS.filter((flag) => line.text(flag) !== undefined),
  ];
  if (given[0] !== undefined) throw new UsageError(`--${given[0]} is for --storm; give that too`);
}

/**
 * Reads the flags of a storm.
 *
 * @throws {UsageError} if anything in them isn't as the help says.
 * @throws {EnvironmentError} if a file can't be used.
 */
export function stormOptions(line: StormLine, dialect: DialectName): StormOptions {
  if (line.text("agents") !== undefined) {
    throw new UsageError("--storm is for the bots of one machine; leave out --agents");
  }
  const resumes = line.has("resume");
  if (resumes && !isJanus(dialect)) {
    throw new UsageError(`--resume is for Janus servers; leave it out to measure ${dialect}`);
  }
  for (const flag of resumes ? LATENCY_FLAGS : [...MESSAGE_FLAGS, ...LATENCY_FLAGS]) {
    if (line.text(flag) === undefined) continue;
    const why = resumes
      ? "a run without --storm"
      : "messages, and --storm publishes none without --resume";
    throw new UsageError(`--${flag} is for ${why}; leave one out`);
  }
  if (!resumes && line.text("every") !== undefined) {
    throw new UsageError("--every is for --resume; give that too");
  }
  return {
    cuts: line.has("cut"),
    resumes,
    everyMs: line.duration("every") ?? STORM_EVERY_MS,
    admin: adminPort(line),
  };
}

function adminPort(line: StormLine): StormOptions["admin"] {
  const text = line.text("admin");
  const file = line.text("admin-key-file");
  if (text === undefined) {
    if (file !== undefined) throw new UsageError("--admin-key-file is for --admin; give that too");
    return null;
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `--admin must be the address of an admin port, such as http://127.0.0.1:8082, not ${
        quote(text)
      }`,
    );
  }
  return { url: url.origin, key: file === undefined ? null : firstKeyIn(file, "--admin-key-file") };
}
