/**
 * What a client says to each server, and how it knows that it was heard. All count messages alike: each
 * ends, whatever surrounds it, in a byte that nothing else holds.
 *
 * @module
 */

/** Ends each message that is delivered. Hotwheels' own terminator; elsewhere the payload's last byte. */
export const END = 0x01;

export type WireName = "janus" | "redis" | "nats";

/** One server's language. */
export interface Wire {
  /** Begins a connection that publishes; it's heard when the server has said anything. */
  readonly opening: string;
  /** Subscribes, and asks for a sign that this is done. */
  subscribe(topics: readonly string[]): string;
  /** True if the server's output so far means that as many topics are subscribed to. */
  isSubscribed(said: string, topics: number): boolean;
  /** Publishes a message with a payload of so many bytes. */
  publish(topic: string, payloadBytes: number): string;
}

const END_CHARACTER = String.fromCharCode(END);

/** The characters of a payload. */
function filling(bytes: number): string {
  return "x".repeat(bytes);
}

function endsIn(text: string): number {
  return text.split(END_CHARACTER).length - 1;
}

const JANUS: Wire = {
  opening: "",
  subscribe: (topics) =>
    topics.map((topic) => `{"action":"subscribe","data":"${topic}"}\0`).join(""),
  // The greeting is the first frame, then comes an ACK for each.
  isSubscribed: (said, topics) => said.endsWith(END_CHARACTER) && endsIn(said) > topics,
  publish: (topic, bytes) =>
    `PUBLISH\0{"topic":"${topic}","event":"e","message_id":"","data":"${filling(bytes)}"}\0`,
};

function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;
}

const REDIS: Wire = {
  opening: command("PING"),
  subscribe: (topics) => command("SUBSCRIBE", ...topics) + command("PING"),
  isSubscribed: (said) => said.includes("$4\r\npong\r\n"),
  publish: (topic, bytes) => command("PUBLISH", topic, filling(bytes - 1) + END_CHARACTER),
};

const NATS_CONNECT = 'CONNECT {"verbose":false,"pedantic":false}\r\n';

const NATS: Wire = {
  opening: `${NATS_CONNECT}PING\r\n`,
  subscribe: (topics) =>
    `${NATS_CONNECT}${topics.map((topic, id) => `SUB ${topic} ${id + 1}\r\n`).join("")}PING\r\n`,
  isSubscribed: (said) => said.includes("PONG\r\n"),
  publish: (topic, bytes) => `PUB ${topic} ${bytes}\r\n${filling(bytes - 1)}${END_CHARACTER}\r\n`,
};

/** All of them. */
export const WIRES: Readonly<Record<WireName, Wire>> = { janus: JANUS, redis: REDIS, nats: NATS };
