import type { Random } from "../../harness/random.ts";
import { type Lane, messageTail } from "../checks/ledger.ts";
import { Peer } from "./peer.ts";
import type { CheckedTown } from "./subscriber.ts";

/**
 * A message may be lost with a worker that was killed so long before it set out or after it was sent: in
 * its backlog, or on the way from one worker to another.
 */
const LOSS_WINDOW_MS = 3_000;

const MAX_DATA_BYTES = 300;

/** A connection that got stuck is dropped. */
const PATIENCE_MS = 20_000;

/** A message's way to the server. */
interface Journey {
  readonly beganMs: number;
  /** `undefined` while it is under way. */
  endedMs: number | undefined;
  isSent: boolean;
}

/**
 * Publishes as the clients of 2009 did: a connection for each message, which isn't terminated. Most
 * never read the greeting and close at once, some wait until the server closes.
 */
export class LegacyPublisher {
  readonly #town: CheckedTown;
  readonly #random: Random;
  readonly #lanes: readonly { readonly lane: Lane; readonly journeys: Journey[] }[];
  readonly #everyMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #underWay = 0;

  /** @param everyMs Milliseconds from one message to the next, on average. */
  constructor(town: CheckedTown, topics: readonly string[], everyMs: number, random: Random) {
    this.#town = town;
    this.#random = random;
    this.#everyMs = everyMs;
    this.#lanes = topics.map((topic) => {
      const journeys: Journey[] = [];
      const lane = town.ledger.open(topic, MAX_DATA_BYTES, {
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
    const peer: Peer = new Peer(this.#town.target, {
      onConnect: () => {
        // `<regular-socket/>` before every frame, as Flash clients have it.
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
        if (journey.isSent || this.#isNearKill(journey)) return;
        this.#town.faults.add("not_connected", `a legacy publisher's connection ended: ${how}`);
      },
    });
  }

  #isExcused(journey: Journey): boolean {
    return !journey.isSent || journey.endedMs === undefined || this.#isNearKill(journey);
  }

  #isNearKill({ beganMs, endedMs }: Journey): boolean {
    return this.#town.kills.hasOneBetween(beganMs - LOSS_WINDOW_MS, endedMs! + LOSS_WINDOW_MS);
  }
}
