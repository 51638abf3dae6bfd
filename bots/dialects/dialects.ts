/**
 * The protocols that the bots speak, by name.
 *
 * @module
 */

import type { Dialect } from "./dialect.ts";
import { JanusDialect } from "./janus_dialect.ts";
import { NatsDialect } from "./nats_dialect.ts";
import type { MessageContent } from "./published_message.ts";
import { RedisDialect } from "./redis_dialect.ts";

/** A protocol's name, which is also the scheme of its servers' addresses. */
export type DialectName = "janus" | "ws" | "nats" | "redis";

/** True if the servers of a protocol are Janus servers. */
export function isJanus(dialect: DialectName): boolean {
  return dialect === "janus" || dialect === "ws";
}

/** The default port of each protocol's servers. */
export const DEFAULT_PORTS: Readonly<Record<DialectName, number>> = {
  janus: 8081,
  ws: 8080,
  nats: 4222,
  redis: 6379,
};

/**
 * Creates a dialect for one topic and one message.
 *
 * @param keys The keys to authenticate with, which only Janus servers ask for.
 * @param resumes True for clients that come back with their positions, which only Janus servers know.
 * @throws {RangeError} if the topic isn't valid in that protocol.
 */
export function createDialect(
  name: DialectName,
  content: MessageContent,
  keys: readonly string[] = [],
  resumes = false,
): Dialect {
  switch (name) {
    case "janus":
    case "ws":
      return new JanusDialect(content, keys, name, resumes);
    case "nats":
      return new NatsDialect(content);
    case "redis":
      return new RedisDialect(content);
  }
}
