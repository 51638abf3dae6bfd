/**
 * All clients of one workload, in one process; it's told what to do by its argument, and says how long
 * each round took.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { Runtime } from "../../../runtime/types.ts";
import { Peer } from "./peer.ts";
import { type Wire, type WireName, WIRES } from "./wires.ts";
import type { Workload } from "./workload.ts";

/** The client's order. */
export interface ClientOrder {
  readonly workload: Workload;
  readonly wire: WireName;
  readonly port: number;
  /** Rounds that count. */
  readonly rounds: number;
  /** Rounds before those. */
  readonly warmUps: number;
}

/** Its answer, as one line of JSON. */
export type ClientAnswer =
  | { readonly roundsMs: readonly number[] }
  /** In words that follow the server's name. */
  | { readonly failure: string };

/** A round that takes longer has lost something, or isn't worth waiting for. */
const ROUND_PATIENCE_MS = 60_000;

/** Connects under way at once: a listener's backlog holds 512 on Bun. */
const MAX_CONNECTING = 128;

/** Between rounds, for what a server does behind them. */
const PAUSE_MS = 100;

/** Starts the shuffle of topics, the same for every server. */
const SEED = 0x9e3779b9;

const encoder = new TextEncoder();

class Failure extends Error {}

if (import.meta.main) {
  const order = JSON.parse(process.argv[2] ?? "") as ClientOrder;
  console.log(JSON.stringify(await answer(order)));
  process.exit();
}

async function answer(order: ClientOrder): Promise<ClientAnswer> {
  try {
    return { roundsMs: await new Client(order, await detectRuntime()).run() };
  } catch (error) {
    if (error instanceof Failure) return { failure: error.message };
    throw error;
  }
}

class Client {
  readonly #order: ClientOrder;
  readonly #runtime: Runtime;
  readonly #wire: Wire;
  readonly #publishers: Peer[] = [];
  #awaited = 0;
  #onDone: () => void = () => {};
  #fail: (why: string) => void = () => {};

  constructor(order: ClientOrder, runtime: Runtime) {
    this.#order = order;
    this.#runtime = runtime;
    this.#wire = WIRES[order.wire];
  }

  async run(): Promise<number[]> {
    const { workload, rounds, warmUps } = this.#order;
    const { kind, subscribers, publishers } = workload;
    if (kind !== "subscribe") {
      const all = Array.from({ length: subscribers }, (_, index) => index);
      await this.#bounded(
        "the connections took",
        inParallel(all, async (index) => {
          const subscriber = await this.#connect();
          await this.#subscribe(subscriber, this.#topicsOf(index));
        }),
      );
      await this.#bounded(
        "the connections took",
        inParallel(all.slice(0, publishers), () => this.#addPublisher()),
      );
      while (this.#publishers.length < publishers) await this.#addPublisher();
    }
    const times: number[] = [];
    for (let round = -warmUps; round < rounds; round++) {
      await sleep(PAUSE_MS);
      const tookMs = await this.#bounded("a round took", this.#round(round + warmUps));
      if (this.#awaited < 0) throw new Failure(`delivered ${-this.#awaited} messages too many`);
      if (round >= 0) times.push(tookMs);
    }
    return times;
  }

  #round(number: number): Promise<number> {
    const { kind } = this.#order.workload;
    if (kind === "subscribe") return this.#roundOfSubscribing(number);
    return kind === "ping-pong" ? this.#roundOfPingPong() : this.#roundOfDelivery();
  }

  async #roundOfDelivery(): Promise<number> {
    const { subscribers, topicsEach, messages } = this.#order.workload;
    const writes = this.#writes();
    this.#awaited = messages * (topicsEach === 0 ? subscribers : 1);
    const done = new Promise<void>((resolve) => this.#onDone = resolve);
    const startMs = performance.now();
    for (const [publisher, bytes] of writes) publisher.send(bytes);
    await done;
    return performance.now() - startMs;
  }

  async #roundOfPingPong(): Promise<number> {
    const { messages, payloadBytes } = this.#order.workload;
    const bytes = encoder.encode(this.#wire.publish(topicName(0), payloadBytes));
    const publisher = this.#publishers[0] as Peer;
    let left = messages;
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      const next = () => {
        if (left-- === 0) return resolve();
        this.#awaited = 1;
        this.#onDone = next;
        publisher.send(bytes);
      };
      next();
    });
    return performance.now() - startMs;
  }

  async #roundOfSubscribing(number: number): Promise<number> {
    const subscriber = await this.#connect();
    const topics = this.#topicsOf(number);
    // So that what is timed begins and ends with the topics.
    await this.#subscribe(subscriber, [`first${number}`]);
    const startMs = performance.now();
    await this.#subscribe(subscriber, topics, true);
    const tookMs = performance.now() - startMs;
    subscriber.leave();
    return tookMs;
  }

  /** The bytes to send, in the order in which publishers take turns. */
  #writes(): [Peer, Uint8Array][] {
    const { topicsEach, subscribers, messages, payloadBytes, messagesPerWrite } =
      this.#order.workload;
    const topics = topicsEach === 0 ? [0] : shuffled(topicsEach * subscribers);
    const publishers = this.#publishers;
    const perPublisher = Math.ceil(messages / publishers.length);
    const perWrite = Math.min(messagesPerWrite, perPublisher);
    const writes: [Peer, Uint8Array][] = [];
    for (let from = 0; from < perPublisher; from += perWrite) {
      for (const [index, publisher] of publishers.entries()) {
        const frames: string[] = [];
        for (let i = from; i < Math.min(from + perWrite, perPublisher); i++) {
          const number = i * publishers.length + index;
          if (number >= messages) break;
          const topic = topicName(topics[number % topics.length] as number);
          frames.push(this.#wire.publish(topic, payloadBytes));
        }
        if (frames.length > 0) writes.push([publisher, encoder.encode(frames.join(""))]);
      }
    }
    return writes;
  }

  #topicsOf(subscriber: number): string[] {
    const { topicsEach } = this.#order.workload;
    if (topicsEach === 0) return [topicName(0)];
    return Array.from({ length: topicsEach }, (_, at) => topicName(subscriber * topicsEach + at));
  }

  #connect(): Promise<Peer> {
    return Peer.connect(
      this.#runtime,
      this.#order.port,
      (count) => {
        this.#awaited -= count;
        if (this.#awaited === 0) this.#onDone();
      },
      () => this.#fail("closed a connection"),
    );
  }

  async #addPublisher(): Promise<void> {
    const publisher = await this.#connect();
    await publisher.ask(encoder.encode(this.#wire.opening), (said) => said.length > 0);
    this.#publishers.push(publisher);
  }

  /** @param isGreeted Whether the server's first words were heard before. */
  #subscribe(peer: Peer, topics: readonly string[], isGreeted = false): Promise<void> {
    const frames = encoder.encode(this.#wire.subscribe(topics));
    const expected = topics.length - (isGreeted ? 1 : 0);
    return peer.ask(frames, (said) => this.#wire.isSubscribed(said, expected));
  }

  /** The condition that it waits for, unless a connection is lost or it takes too long. */
  async #bounded<T>(what: string, done: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const failed = new Promise<never>((_, reject) => {
      this.#fail = (why) => reject(new Failure(why));
      const seconds = ROUND_PATIENCE_MS / 1_000;
      timer = setTimeout(() => this.#fail(`${what} more than ${seconds} s`), ROUND_PATIENCE_MS);
    });
    try {
      return await Promise.race([done, failed]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  await Promise.all(Array.from({ length: MAX_CONNECTING }, async () => {
    for (const item of waiting) await work(item);
  }));
}

function topicName(number: number): string {
  return `topic${number}`;
}

/** The numbers below a count in an order that has no order, so that no server meets a neat one. */
function shuffled(count: number): number[] {
  const numbers = Array.from({ length: count }, (_, index) => index);
  let state = SEED;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = state % (i + 1);
    [numbers[i], numbers[other]] = [numbers[other] as number, numbers[i] as number];
  }
  return numbers;
}
