import type { Random } from "../compare/random.ts";
import { type Lane, messageTail } from "./ledger.ts";
import { Peer } from "./peer.ts";
import type { CheckedTown } from "./subscriber.ts";

/** How long after it was sent a message may be lost with a worker: it may not even be accepted yet. */
const LOSS_WINDOW_MS = 3_000;

/** A connection that got stuck is dropped. */
const PATIENCE_MS = 20_000;

/**
 * Publishes as the clients of 2009 did: a connection for each message, which isn't terminated. Most
 * never read the greeting and close at once, some wait until the server closes.
 */
export class LegacyPublisher {
  readonly #town: CheckedTown;
  readonly #random: Random;
  readonly #lanes: readonly Lane[];
  readonly #everyMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #underWay = 0;

  /** @param everyMs Milliseconds from one message to the next, on average. */
  constructor(town: CheckedTown, topics: readonly string[], everyMs: number, random: Random) {
    this.#town = town;
    this.#random = random;
    this.#everyMs = everyMs;
    this.#lanes = topics.map((topic) => town.ledger.open(topic, 300, false));
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
    const lane = this.#lanes[this.#random.below(this.#lanes.length)]!;
    const waits = this.#random.below(4) === 0;
    const number = lane.sent++;
    // Whoever subscribes while it is on its way may get it or not, and it may be lost until then.
    const beganMs = performance.now();
    const { target, kills, faults } = this.#town;
    this.#underWay++;
    lane.excused.add(number);
    let isSent = false;
    const timer = setTimeout(() => peer.drop(), PATIENCE_MS);
    const peer: Peer = new Peer(target, {
      onConnect: () => {
        // `<regular-socket/>` before every frame, as Flash clients have it.
        peer.write(`<regular-socket/>\0PUBLISH\0{${messageTail(lane, number)}`, () => {
          isSent = true;
          if (!waits) peer.drop();
        });
      },
      onEnd: (how) => {
        clearTimeout(timer);
        this.#underWay--;
        const isExcused = () => kills.hasOneBetween(beganMs - LOSS_WINDOW_MS, performance.now());
        if (isSent && (how === "fin" || how === "left")) {
          lane.excused.delete(number);
          // A kill that comes soon excuses it again.
          setTimeout(() => isExcused() && lane.excused.add(number), LOSS_WINDOW_MS);
        } else if (!isExcused()) {
          faults.add("not_connected", `a legacy publisher's connection ended: ${how}`);
        }
      },
    });
  }
}
