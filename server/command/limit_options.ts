import { quote, UsageError } from "../../cli/command_line.ts";
import { MIN_FRAME_LIMIT_BYTES } from "../../protocol/client_decoder.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";
import type { Line, ValueFlag } from "./flags.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/**
 * Reads the flags of the limits; those that aren't set are absent.
 *
 * @throws {UsageError} if one isn't as the help says, or two contradict each other.
 */
export function parseLimits(line: Line): Partial<Limits> {
  const limits = definedOnly({
    maxConnections: line.number("max-connections", 1, 1_000_000),
    maxConnectionsPerIp: line.number("max-connections-per-ip", 1, 1_000_000),
    acceptRate: line.number("accept-rate", 1, 1_000_000),
    maxFrameBytes: line.number("max-frame-bytes", MIN_FRAME_LIMIT_BYTES, 64 * MIB),
    maxTopicBytes: line.number("max-topic-bytes", 1, DEFAULT_LIMITS.maxTopicBytes),
    maxTopics: line.number("max-topics", 1, 1_000_000),
    maxTopicsTotal: line.number("max-topics-total", 1, 100_000_000),
    maxPendingBytes: line.number("max-pending-bytes", KIB, 64 * GIB),
    softPendingBytes: line.number("soft-pending-bytes", KIB, 64 * GIB),
    softPendingMs: milliseconds(line, "soft-pending-time"),
    maxTotalPendingBytes: line.number("max-total-pending-bytes", KIB, 1024 * GIB),
    maxMemoryBytes: line.number("max-memory", KIB, 1024 * GIB),
    maxWrongKeys: line.number("max-wrong-keys", 1, 1_000_000),
    publishRate: line.number("publish-rate", 1, 1_000_000_000),
    publishBytesRate: line.number("publish-bytes-rate", KIB, 1024 * GIB),
    writeDeadlineMs: milliseconds(line, "write-deadline"),
    pingAfterMs: milliseconds(line, "ping-after"),
    idleMs: milliseconds(line, "idle-timeout"),
    legacyIdleMs: milliseconds(line, "legacy-idle-timeout"),
    historyMs: historyTime(line),
    historyMessages: line.number("history-messages", 1, 100_000_000),
    historyBytes: line.number("history-bytes", 1, 64 * GIB),
    historyTotalBytes: line.number("history-total-bytes", 1, 1024 * GIB),
    historyTopics: patterns(line),
  });
  const { maxFrameBytes, maxPendingBytes } = { ...DEFAULT_LIMITS, ...limits };
  if (maxPendingBytes < maxFrameBytes) {
    throw new UsageError(
      `--max-pending-bytes ${maxPendingBytes} is less than --max-frame-bytes ${maxFrameBytes}: ` +
        `the largest message would close every subscriber; raise the one or lower the other`,
    );
  }
  return limits;
}

/** A flag's time in whole milliseconds. */
function milliseconds(line: Line, name: ValueFlag): number | undefined {
  const time = line.duration(name);
  return time === undefined ? undefined : Math.ceil(time);
}

/** The time for which messages are stored, which may be none. */
function historyTime(line: Line): number | undefined {
  const isNone = /^0(?:ms|s|m|h)?$/.test(line.text("history-time") ?? "");
  return isNone ? 0 : milliseconds(line, "history-time");
}

function patterns(line: Line): string[] | undefined {
  const patterns = line.text("history-topics")?.split(",");
  if (!patterns?.includes("")) return patterns;
  const name = line.nameOf("history-topics");
  const text = quote(line.text("history-topics") as string);
  throw new UsageError(
    `${name} must list topics such as news,chat.* without an empty one, not ${text}`,
  );
}

function definedOnly<T extends object>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
