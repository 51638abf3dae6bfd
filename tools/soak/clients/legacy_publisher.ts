import type { Random } from "../../harness/random.ts";
import { type Lane, messageTail } from "../checks/ledger.ts";
import { Peer } from "./peer.ts";
import type { PopulationContext } from "./subscriber.ts";

/**
 * Milliseconds before a message was sent and after it was, within which the end of a worker may have lost
 * it: in the worker's backlog, or on the way to another worker.
 */
const LOSS_WINDOW_MS = 3_000;

const MAX_DATA_BYTES = 300;

/** Milliseconds after which a stuck connection is dropped. */
const PATIENCE_MS = 20_000;

/** One message's connection to the server. */
interface Journey {
  readonly beganMs: number;
  /** `undefined` while the connection is open. */
  endedMs: number | undefined;
  isSent: boolean;
}

/**
 * Publishes as the clients of 2009 did: one connection for each message, which isn't terminated. Most
 * clients never read the greeting and close at once; some wait until the server closes.
 */
export class LegacyPublisher {
  readonly #context: PopulationContext;
  readonly #random: Random;
  readonly #lanes: readonly { readonly lane: Lane; readonly journeys: Journey[] }[];
  readonly #everyMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #underWay = 0;

  /** @param everyMs Milliseconds from one message to the next, on average. */
  constructor(
    context: PopulationContext,
    topics: readonly string[],
    everyMs: number,
    random: Random,
  ) {
    this.#context = context;
    this.#random = random;
    this.#everyMs = everyMs;
    this.#lanes = topics.map((topic) => {
      const journeys: Journey[] = [];
      const lane = context.ledger.open(topic, MAX_DATA_BYTES, {
        isExcused: (number) => this.#isExcused(journeys[number]!),
        beganMs: (number) => journeys[number]!.beganMs,
      });
      return { lane, journeys };
    });
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#publish();
      this.start();
    }, this.#everyMs / 2 + this.#random.below(this.#everyMs));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  get isFlushed(): boolean {
    return this.#underWay === 0;
  }

  #publish(): void {
    const { lane, journeys } = this.#lanes[this.#random.below(this.#lanes.length)]!;
    const waits = this.#random.below(4) === 0;
    const number = lane.sent++;
    const journey: Journey = { beganMs: performance.now(), endedMs: undefined, isSent: false };
    journeys.push(journey);
    this.#underWay++;
    const timer = setTimeout(() => peer.drop(), PATIENCE_MS);
    const peer: Peer = new Peer(this.#context.target, {
      onConnect: () => {
        // `<regular-socket/>` before every frame, as Flash clients sent it.
        peer.write(`<regular-socket/>\0PUBLISH\0{${messageTail(lane, number)}`, () => {
          journey.isSent = true;
          if (!waits) peer.drop();
        });
      },
      onEnd: (how) => {
        clearTimeout(timer);
        this.#underWay--;
        journey.endedMs = performance.now();
        if (how === "reset" || how === "refused") journey.isSent = false;
        if (journey.isSent || this.#isNearStrike(journey)) return;
        this.#context.faults.add("not_connected", `a legacy publisher's connection ended: ${how}`);
      },
    });
  }

  #isExcused(journey: Journey): boolean {
    return !journey.isSent || journey.endedMs === undefined || this.#isNearStrike(journey);
  }

  #isNearStrike({ beganMs, endedMs }: Journey): boolean {
    return this.#context.strikes.hasOneBetween(beganMs - LOSS_WINDOW_MS, endedMs! + LOSS_WINDOW_MS);
  }
}
