/**
 * The main module of the process that uses the client library, over each door of a server: a publisher
 * and a reader of a topic of their own. {@linkcode LibraryMember} of `library_member.ts` starts it and
 * judges its output: one {@linkcode LibraryNote} a line.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  connect,
  type ConnectOptions,
  type Hotwheels,
  type Messages,
  OutcomeUnknownError,
  type Status,
} from "../../../client/mod.ts";
import { LibraryLedger } from "../checks/library_ledger.ts";
import { onFinish, readOrder, tell as tellNote } from "./client_script.ts";
import type { LibraryDoor, LibraryNote, LibraryOrder, LibraryRecord } from "./library_order.ts";

/** Milliseconds from one message to the next. */
const EVERY_MS = 50;

const LOOK_MS = 50;

/** Milliseconds of silence after which a soaked server sends `PING`. */
const PING_AFTER_MS = 6_000;

const order = readOrder<LibraryOrder>();

function tell(note: LibraryNote): void {
  tellNote(note);
}

/** The publisher and the reader of one door. */
class Pair {
  readonly #door: LibraryDoor;
  readonly #topic: string;
  readonly #ledger: LibraryLedger;
  readonly #gaps: Record<string, number> = {};
  #recovered = 0;
  #subscribedMs = performance.now();
  #lane = 0;
  #isLeaving = false;
  #publisher: Hotwheels | undefined;
  #reader: Hotwheels | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(door: LibraryDoor) {
    this.#door = door;
    this.#topic = `soak-library-${door}`;
    this.#ledger = new LibraryLedger((kind, detail, count) => {
      tell({ is: "fault", door, kind, detail, count });
    });
  }

  async join(url: string): Promise<void> {
    const options: ConnectOptions = {
      pingAfter: PING_AFTER_MS,
      ...order.ca === null ? {} : { ca: order.ca },
    };
    try {
      const key = (of: "publish" | "subscribe") =>
        order.keys === null ? {} : { key: order.keys[of] };
      [this.#publisher, this.#reader] = await Promise.all([
        connect(url, { ...options, ...key("publish"), onStatus: (one) => this.#onPublisher(one) }),
        connect(url, { ...options, ...key("subscribe"), onStatus: (one) => this.#onReader(one) }),
      ]);
      const messages = this.#reader.subscribe(this.#topic);
      this.#read(messages);
      await messages.ready;
    } catch (error) {
      return this.#fault("not_connected", `${error}`);
    }
    if (!this.#isLeaving) this.#timer = setInterval(() => this.#publish(), EVERY_MS);
  }

  /** Publishes no more, waits for what is on its way, and reports what never arrives. */
  async settle(): Promise<LibraryRecord> {
    clearInterval(this.#timer);
    const endMs = performance.now() + order.patienceMs;
    const ledger = this.#ledger;
    while ((ledger.isWaiting || ledger.owed.length > 0) && performance.now() < endMs) {
      await sleep(LOOK_MS);
    }
    ledger.close();
    this.#isLeaving = true;
    await Promise.all([this.#publisher?.close(), this.#reader?.close()]);
    const { accepted: published, unknown, delivered } = ledger;
    return { published, unknown, delivered, recovered: this.#recovered, gaps: this.#gaps };
  }

  async #read(messages: Messages): Promise<void> {
    try {
      for await (const { message } of messages) {
        const { data } = message;
        this.#ledger.receive(data);
        if (message["text"] === textOf(data)) continue;
        this.#fault("damaged", `message ${data}: ${JSON.stringify(message)}`);
      }
    } catch {
      // The client has ended for good, which its status tells.
    }
  }

  #publish(): void {
    const number = this.#ledger.send(this.#lane);
    this.#publisher!.publish({ topic: this.#topic, data: number, text: textOf(number) }).then(
      ({ matched, written, queued, evicted }) => {
        this.#ledger.settle(number, "accepted");
        if (matched === written + queued + evicted) return;
        this.#fault("receipt", `${matched} isn't ${written} + ${queued} + ${evicted}`);
      },
      (error) => {
        this.#ledger.settle(number, error instanceof OutcomeUnknownError ? "unknown" : "refused");
      },
    );
  }

  #onPublisher(status: Status): void {
    if (status.state === "open") this.#lane++;
    this.#onAny("publisher", status);
  }

  #onReader(status: Status): void {
    this.#onAny("reader", status);
    if (status.state !== "subscribed") return;
    const { recovered, reason, crashed, isGap } = status;
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#subscribedMs;
    this.#subscribedMs = nowMs;
    if (isGap) {
      this.#ledger.excuse();
      this.#gaps[reason] = (this.#gaps[reason] ?? 0) + 1;
      tell({ is: "gap", door: this.#door, reason, crashed: crashed.length, sinceMs });
    } else if (recovered) this.#recovered++;
  }

  #onAny(who: string, status: Status): void {
    if (status.state !== "closed" || !status.isFinal || this.#isLeaving) return;
    this.#fault("not_connected", `the ${who} has given up: ${status.why}`);
  }

  #fault(kind: "damaged" | "not_connected" | "receipt", detail: string): void {
    tell({ is: "fault", door: this.#door, kind, detail, count: 1 });
  }
}

/** The text of a message, by its number. */
function textOf(number: number): string {
  return `message ${number} é🚀\n`.repeat(1 + number % 20);
}

const pairs = (Object.keys(order.urls) as LibraryDoor[]).map((door) => {
  const pair = new Pair(door);
  pair.join(order.urls[door]!);
  return [door, pair] as const;
});

onFinish(async () => {
  const doors = await Promise.all(
    pairs.map(async ([door, pair]) => [door, await pair.settle()] as const),
  );
  tell({ is: "over", doors: Object.fromEntries(doors) });
});
