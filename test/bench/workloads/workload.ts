/**
 * The shapes of work that are measured, each with the sizes that make it.
 *
 * @module
 */

/** The work of a client in a round, and the end of the round. */
export type Kind =
  /** Publishers send all messages; it ends with the last delivery. */
  | "deliver"
  /** One publisher sends the next message when its one subscriber has the last. */
  | "ping-pong"
  /** A connection asks for its topics all at once; it ends with the last answer. */
  | "subscribe";

/** One shape of work. */
export interface Workload {
  readonly name: string;
  readonly kind: Kind;
  /** Connections that subscribe. */
  readonly subscribers: number;
  /** Topics that each of them has for itself; 0: one topic that all of them share. */
  readonly topicsEach: number;
  readonly publishers: number;
  /** In a round, of all publishers together. */
  readonly messages: number;
  /** Of a message's payload; each server has its own wire around it. */
  readonly payloadBytes: number;
  /** Messages that a publisher sends in one write. */
  readonly messagesPerWrite: number;
}

/** The usual values. */
const USUAL = {
  kind: "deliver",
  topicsEach: 0,
  publishers: 1,
  messages: 0,
  payloadBytes: 64,
  messagesPerWrite: 1_000_000,
} as const;

type Sizes = Pick<Workload, "subscribers"> & Partial<Omit<Workload, "name">>;

function workload(name: string, sizes: Sizes): Workload {
  return { ...USUAL, name, ...sizes };
}

/** Of those that say one thing at a time. */
const THOUSAND = { publishers: 1_000, messages: 20_000, messagesPerWrite: 1 } as const;

/** The table, in the order in which it's shown. */
export const WORKLOADS: readonly Workload[] = [
  workload("1-to-1", { subscribers: 1, messages: 200_000 }),
  workload("ping-pong", { kind: "ping-pong", subscribers: 1, messages: 5_000 }),
  workload("1000-to-1", { ...THOUSAND, subscribers: 1 }),
  workload("1000-to-10", { ...THOUSAND, subscribers: 10 }),
  ofTopics("10000x1-topic", 10_000, 1),
  ofTopics("1000x10-topics", 1_000, 10),
  ofTopics("100x100-topics", 100, 100),
  ofTopics("4x5000-topics", 4, 5_000),
  workload("subscribe-5000", { kind: "subscribe", subscribers: 1, topicsEach: 5_000 }),
  workload("200-x-50-large", { subscribers: 200, messages: 50, payloadBytes: 60_000 }),
  workload("19000-x-1", { subscribers: 19_000, messages: 1 }),
  workload("1000-x-1000", { subscribers: 1_000, messages: 1_000 }),
];

/** Topics of one subscriber each, and a message to each of them. */
function ofTopics(name: string, subscribers: number, topicsEach: number): Workload {
  return workload(name, {
    subscribers,
    topicsEach,
    publishers: 10,
    messages: subscribers * topicsEach,
  });
}

/** The sizes of a workload as text for a table. */
export function describeWorkload(workload: Workload): string {
  const { kind, subscribers, topicsEach, publishers, messages, payloadBytes } = workload;
  const count = (value: number, one: string, many = `${one}s`) =>
    `${value.toLocaleString("en-US")} ${value === 1 ? one : many}`;
  if (kind === "subscribe") return `subscribing to ${count(topicsEach, "topic")} at once`;
  if (kind === "ping-pong") return `1 to 1, one at a time, ${count(messages, "message")}`;
  const own = topicsEach > 0 ? ` with ${count(topicsEach, "topic")} each` : "";
  const size = payloadBytes === USUAL.payloadBytes ? "" : ` of ${payloadBytes / 1_000} kB`;
  return `${count(publishers, "publisher")}, ${count(subscribers, "subscriber")}${own}, ` +
    `${count(messages, "message")}${size}`;
}

/** The same shape, so many times smaller; of what there is at least one stays. */
export function shrink(workload: Workload, divisor: number): Workload {
  const less = (value: number) => value === 0 ? 0 : Math.max(1, Math.floor(value / divisor));
  const { subscribers, topicsEach, publishers, messages } = workload;
  return {
    ...workload,
    subscribers: less(subscribers),
    topicsEach: less(topicsEach),
    publishers: less(publishers),
    messages: less(messages),
  };
}
