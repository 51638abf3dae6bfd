/**
 * Records what was published, so that received messages can be compared with it.
 *
 * @module
 */

/**
 * One publisher's messages to one topic, numbered from 0. Their text follows from the lane and the
 * number, so that it needn't be kept.
 */
export interface Lane {
  readonly id: number;
  readonly topic: string;
  /** The most bytes of a message's `data`. */
  readonly maxDataBytes: number;
  /** The number of sent messages. */
  sent: number;
  /** The connection was lost with a worker, and perhaps the last messages with it. */
  isLost: boolean;
  /** Its publisher has left in order. */
  isOver: boolean;
  /** When it was lost, by `performance.now()`. */
  lostMs: number;
  /** The highest number that any subscriber has received; -1 for none. */
  seen: number;
  /** The server process that accepts its messages, once a subscriber was told. */
  origin: string | undefined;
  /** The connections of messages that each have one of their own; else `null`. */
  readonly journeys: Journeys | null;
  /** The numbers of those of such messages that any subscriber has received. */
  readonly arrived: Set<number>;
}

/** Messages that each have a connection of their own. */
export interface Journeys {
  /** True if a message needn't arrive: it isn't sent yet, or may have been lost with a worker. */
  isExcused(number: number): boolean;
  /** The moment at which it was sent, in milliseconds by `performance.now()`. */
  beganMs(number: number): number;
}

/** Text without characters that JSON escapes; one in four isn't ASCII. */
const FILLER = "soak é🚀 ".repeat(2048);

/** All lanes of a soak. */
export class Ledger {
  /** The origins that the server said to have crashed. */
  readonly crashed = new Set<string>();
  /**
   * Milliseconds after the loss of a publisher's connection until each process of the server knows why its
   * process ended.
   */
  readonly knownMs: number;
  readonly #lanes: Lane[] = [];
  readonly #byTopic = new Map<string, Lane[]>();

  constructor(knownMs = 10_000) {
    this.knownMs = knownMs;
  }

  /**
   * @param journeys Given if each message has a connection of its own, so that messages have no order.
   */
  open(topic: string, maxDataBytes: number, journeys: Journeys | null = null): Lane {
    const lane: Lane = {
      id: this.#lanes.length,
      topic,
      maxDataBytes,
      sent: 0,
      isLost: false,
      isOver: false,
      lostMs: Infinity,
      seen: -1,
      origin: undefined,
      journeys,
      arrived: new Set(),
    };
    this.#lanes.push(lane);
    this.lanesOf(topic).push(lane);
    return lane;
  }

  lane(id: number): Lane | undefined {
    return this.#lanes[id];
  }

  /** All lanes of a topic so far. The list grows. */
  lanesOf(topic: string): Lane[] {
    let lanes = this.#byTopic.get(topic);
    if (lanes === undefined) this.#byTopic.set(topic, lanes = []);
    return lanes;
  }

  /** Lanes whose publishers are still connected to a process that the server said to have crashed. */
  get wronglyCrashed(): readonly Lane[] {
    return this.#lanes.filter(({ origin, isLost, isOver }) =>
      !isLost && !isOver && origin !== undefined && this.crashed.has(origin)
    );
  }

  get published(): number {
    return this.#lanes.reduce((sum, { sent }) => sum + sent, 0);
  }
}

/** A message's text as its publisher sends it, without the first character, which the server replaces. */
export function messageTail({ id, topic, maxDataBytes }: Lane, number: number): string {
  // Multiples of two primes let sizes and beginnings change from message to message and from lane to
  // lane.
  const scatter = number * 7919 + id * 104_729;
  const data = dataOf(scatter % 8, maxDataBytes === 0 ? 0 : scatter % maxDataBytes);
  return `"topic":"${topic}","event":"soak","message_id":"${id}.${number}","data":"${data}"}`;
}

/** A part of the filler, cut between characters. */
function dataOf(from: number, length: number): string {
  const start = from * 9;
  let end = start + (length >> 1);
  // Not in the middle of a surrogate pair.
  const last = FILLER.charCodeAt(end - 1);
  if (end > start && last >= 0xd800 && last < 0xdc00) end--;
  return FILLER.slice(start, end);
}

/** A delivered message's parts. */
export interface Delivery {
  readonly topic: string;
  readonly laneId: number;
  readonly number: number;
  readonly micros: number;
  /** The text after the timestamp. */
  readonly tail: string;
}

const DELIVERY =
  /^\{"timestamp":\[(\d+),(\d+),(\d+)\],("topic":"([^"]+)","event":"soak","message_id":"(\d+)\.(\d+)")/;

/** Parses a soak's message; `undefined` for any other frame. */
export function parseDelivery(frame: string): Delivery | undefined {
  const match = DELIVERY.exec(frame);
  if (match === null) return undefined;
  return {
    topic: match[5]!,
    laneId: Number(match[6]),
    number: Number(match[7]),
    micros: (Number(match[1]) * 1e6 + Number(match[2])) * 1e6 + Number(match[3]),
    tail: frame.slice(match[0].length - match[4]!.length),
  };
}
