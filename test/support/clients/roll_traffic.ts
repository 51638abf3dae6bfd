/**
 * Publishers and subscribers that come back when a worker sends them away, and what each of them missed.
 *
 * @module
 */

import { errorOf, JanusClient, message, publishForReceipt, type Target } from "./janus_client.ts";
import { until } from "../until.ts";

const TOPIC = "t";

/** The lane of the last message of all. */
const LAST_LANE = -1;

/** So long before a publisher's end a subscriber must have come that surely gets messages of it. */
const OVERLAP_MS = 500;

/** One publisher's connection. */
interface Lane {
  readonly id: number;
  sent: number;
  /** Messages that it has a receipt for. */
  accepted: number;
  endedMs: number;
}

/** One subscriber's connection. */
interface Listening {
  /** The last number that it got of each lane. */
  readonly seen: Map<number, number>;
  readonly beganMs: number;
  endedMs: number;
}

/** Clients that work all the time, until {@linkcode RollTraffic.stop}. */
export class RollTraffic {
  /** The faults that were found. */
  readonly faults: string[] = [];
  /** Connections that a worker ended, with its farewell. */
  farewells = 0;
  readonly #target: Target;
  readonly #lanes: Lane[] = [];
  readonly #listenings: Listening[] = [];
  readonly #publishers: Promise<void>[] = [];
  readonly #subscribers: Promise<void>[] = [];
  #isStopped = false;

  private constructor(target: Target) {
    this.#target = target;
  }

  /** So many of each work. */
  static async start(
    target: Target,
    subscribers: number,
    publishers: number,
  ): Promise<RollTraffic> {
    const traffic = new RollTraffic(target);
    for (let i = 0; i < subscribers; i++) {
      traffic.#subscribers.push(traffic.#comeBack(() => traffic.#listen()));
    }
    await until("all listen", () => traffic.#listenings.length === subscribers);
    for (let i = 0; i < publishers; i++) {
      traffic.#publishers.push(traffic.#comeBack(() => traffic.#publish()));
    }
    await until("all publish", () => {
      const lanes = traffic.#lanes;
      return lanes.length === publishers && lanes.every(({ accepted }) => accepted > 0);
    });
    return traffic;
  }

  /** Ends all, once what was accepted has come to those who should have it, and looks at who missed what. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#publishers);
    await until("all subscribers are back", () => {
      const here = this.#listenings.filter(({ endedMs }) => endedMs === Infinity);
      return here.length === this.#subscribers.length;
    });
    // What was sent before has its receipts, and so is on its way.
    const client = await JanusClient.greeted(this.#target);
    client.send(publishForReceipt(message(TOPIC, [LAST_LANE, 1])));
    await Promise.all(this.#subscribers);
    await client.dispose();
    for (const listening of this.#listenings) {
      for (const { id, accepted, endedMs } of this.#lanes) {
        // Who left before the publisher did may have left before the last message came.
        if (listening.endedMs < endedMs || listening.beganMs > endedMs - OVERLAP_MS) continue;
        const last = listening.seen.get(id) ?? 0;
        if (last < accepted) this.faults.push(`lane ${id}: got ${last} of ${accepted} accepted`);
      }
    }
  }

  /** One connection after the other, until one ends by itself. */
  async #comeBack(session: () => Promise<boolean>): Promise<void> {
    try {
      while (!await session());
    } catch (error) {
      this.faults.push(String(error));
    }
  }

  /** One connection of a subscriber; whether it's the last. */
  async #listen(): Promise<boolean> {
    const client = await JanusClient.subscribed(this.#target, TOPIC);
    const beganMs = performance.now();
    const listening: Listening = { seen: new Map(), beganMs, endedMs: Infinity };
    this.#listenings.push(listening);
    const { seen } = listening;
    const isDone = () => seen.has(LAST_LANE);
    await this.#follow(client, isDone, (frame) => {
      const [lane, number] = (JSON.parse(frame) as { data: [number, number] }).data;
      const last = seen.get(lane) ?? number - 1;
      if (number !== last + 1) this.faults.push(`lane ${lane}: ${number} came behind ${last}`);
      seen.set(lane, number);
    });
    if (!isDone()) listening.endedMs = performance.now();
    return isDone();
  }

  /** One connection of a publisher; whether it's the last. */
  async #publish(): Promise<boolean> {
    const client = await JanusClient.greeted(this.#target);
    const lane: Lane = { id: this.#lanes.length, sent: 0, accepted: 0, endedMs: Infinity };
    this.#lanes.push(lane);
    const timer = setInterval(() => {
      if (this.#isStopped || client.ended !== null || lane.sent - lane.accepted > 100) return;
      client.send(publishForReceipt(message(TOPIC, [lane.id, ++lane.sent])));
    }, 20);
    const isDone = () => this.#isStopped && lane.accepted === lane.sent;
    await this.#follow(client, isDone, () => void lane.accepted++);
    clearInterval(timer);
    lane.endedMs = performance.now();
    return this.#isStopped;
  }

  /** Takes what comes, until the worker has said farewell, or there is nothing more to wait for. */
  async #follow(client: JanusClient, isDone: () => boolean, take: (frame: string) => void) {
    try {
      await until("a client is done", () => {
        for (const frame of client.frames.splice(0)) {
          if (!frame.includes('"error":')) take(frame);
          else if (errorOf(frame).code === "server_shutdown") this.farewells++;
          else this.faults.push(frame);
        }
        return client.ended !== null || isDone();
      }, 60_000);
      if (client.ended === "reset") this.faults.push("a connection was reset");
    } finally {
      await client.dispose();
    }
  }
}
