/**
 * The main module of a bystander's process: a publisher and a subscriber of a topic of their own, so that
 * they don't measure the attackers' delay. {@linkcode Bystander} of `bystander.ts` starts it and judges
 * its output: one {@linkcode BystanderNote} a line.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  encodeAuthenticate,
  encodeSubscribe,
  PING,
  PONG,
} from "../../../protocol/client_encoder.ts";
import { ServerDecoder } from "../../../protocol/server_decoder.ts";
import { onFinish, readOrder, tell as tellNote } from "./client_script.ts";
import type { Keys } from "./healthy_client.ts";
import { Peer, type PeerTarget } from "./peer.ts";

/** The order for a bystander's process. */
export interface BystanderOrder {
  readonly target: PeerTarget;
  readonly keys: Keys | null;
  /** The address to come from; `null` leaves it to the system. */
  readonly from: string | null;
  readonly topic: string;
  /** Milliseconds for the last messages to arrive after it stops publishing. */
  readonly patienceMs: number;
}

export type BystanderRole = "publisher" | "subscriber";

/** A message from a bystander. Times are milliseconds of the system's clock with fractions. */
export type BystanderNote =
  | { readonly is: "connected"; readonly role: BystanderRole; readonly port: number }
  /** Pairs of the moment at which a message was sent, and the milliseconds that it took. */
  | { readonly is: "delivered"; readonly samples: readonly (readonly [number, number])[] }
  | {
    readonly is: "gone";
    readonly role: BystanderRole;
    readonly port: number;
    /** Milliseconds since the server's greeting; `null` without one. */
    readonly greetedAgoMs: number | null;
    readonly how: string;
    /** The error that the server sent, if any. */
    readonly told: string | null;
  }
  | { readonly is: "fault"; readonly kind: "missing" | "duplicate"; readonly detail: string }
  | { readonly is: "over"; readonly missing: number };

/** 50 messages a second. */
const EVERY_MS = 20;

const TELL_MS = 250;
const RETURN_MS = 200;
const LOOK_MS = 50;

/** Milliseconds for the server to greet. */
const GREETING_PATIENCE_MS = 20_000;

const utf8 = new TextDecoder();

/** One of the bystander's two connections. */
class Side {
  #peer: Peer | undefined;
  #greetedMs: number | null = null;
  #told: string | null = null;
  isReady = false;

  constructor(
    readonly role: BystanderRole,
    private readonly order: BystanderOrder,
    private readonly onMessage: (frame: string) => void,
    private readonly onTurn: () => void,
  ) {}

  join(): void {
    const { target, from, topic, keys } = this.order;
    const decoder = new ServerDecoder();
    this.isReady = false;
    this.#greetedMs = null;
    this.#told = null;
    const key = keys?.[this.role === "publisher" ? "publish" : "subscribe"];
    // The number of ACKs until it is ready: one for its key and one for its subscription.
    let steps = (key === undefined ? 0 : 1) + (this.role === "subscriber" ? 1 : 0);
    const patience = setTimeout(() => peer.reset(), GREETING_PATIENCE_MS);
    const peer: Peer = new Peer(target, {
      onConnect: () => tell({ is: "connected", role: this.role, port: peer.localPort }),
      onData: (chunk) => decoder.push(chunk, (bytes) => onFrame(utf8.decode(bytes))),
      onEnd: (how) => {
        clearTimeout(patience);
        const greetedAgoMs = this.#greetedMs === null ? null : nowMs() - this.#greetedMs;
        const { role } = this;
        tell({ is: "gone", role, port: peer.localPort, greetedAgoMs, how, told: this.#told });
        this.isReady = false;
        this.onTurn();
        setTimeout(() => this.join(), RETURN_MS);
      },
    }, from ?? undefined);
    this.#peer = peer;
    const onFrame = (frame: string) => {
      if (frame === "PING") peer.write(PONG);
      else if (frame.includes('"error":{"code":')) this.#told = frame.slice(0, 200);
      else if (this.#greetedMs === null) {
        clearTimeout(patience);
        this.#greetedMs = nowMs();
        peer.write(PING);
        if (key !== undefined) peer.write(encodeAuthenticate(key));
        if (this.role === "subscriber") peer.write(encodeSubscribe(topic));
        if (steps === 0) this.#becomeReady();
      } else if (frame === "ACK") {
        if (--steps === 0) this.#becomeReady();
      } else this.onMessage(frame);
    };
  }

  write(text: string): void {
    this.#peer?.write(text);
  }

  #becomeReady(): void {
    this.isReady = true;
    this.onTurn();
  }
}

/** Publishes, and checks what arrives. */
function stand(order: BystanderOrder): void {
  // When both connections are ready again, numbers begin anew, and everything sent from then on must
  // arrive.
  let stint = 0;
  let received = 0;
  let sentMs: number[] = [];
  let samples: [number, number][] = [];
  let isStopping = false;
  // The delay of this process itself so far, which the server isn't judged for.
  let lateMs = 0;
  let dueMs = nowMs() + EVERY_MS;
  const lateSoFar = () => lateMs + Math.max(0, nowMs() - dueMs);
  let lateWhenSent: number[] = [];

  const hear = (frame: string) => {
    const match = /"event":"bystander","message_id":"(\d+)\.(\d+)"\}$/.exec(frame);
    if (match === null) return fault("duplicate", `a frame of another client: ${frame}`);
    const number = Number(match[2]);
    if (Number(match[1]) !== stint) return;
    if (number < received) return fault("duplicate", `message ${number} came again`);
    if (number > received) fault("missing", `messages ${received} to ${number - 1}`);
    received = number + 1;
    const took = nowMs() - sentMs[number]! - (lateSoFar() - lateWhenSent[number]!);
    samples.push([sentMs[number]!, Math.max(0, took)]);
  };
  const onTurn = () => {
    if (!(publisher.isReady && subscriber.isReady)) return;
    stint++;
    received = 0;
    sentMs = [];
    lateWhenSent = [];
  };
  const publisher = new Side("publisher", order, () => {}, onTurn);
  const subscriber = new Side("subscriber", order, hear, onTurn);
  publisher.join();
  subscriber.join();

  const tick = () => {
    lateMs += Math.max(0, nowMs() - dueMs);
    dueMs = nowMs() + EVERY_MS;
    setTimeout(tick, EVERY_MS);
    if (isStopping || !(publisher.isReady && subscriber.isReady)) return;
    const id = `${stint}.${sentMs.length}`;
    sentMs.push(nowMs());
    lateWhenSent.push(lateMs);
    publisher.write(
      `PUBLISH\0{"topic":"${order.topic}","event":"bystander","message_id":"${id}"}\0`,
    );
  };
  setTimeout(tick, EVERY_MS);
  setInterval(() => {
    if (samples.length > 0) tell({ is: "delivered", samples });
    samples = [];
  }, TELL_MS);

  onFinish(async () => {
    isStopping = true;
    const endMs = nowMs() + order.patienceMs;
    while (received < sentMs.length && nowMs() < endMs) {
      await sleep(LOOK_MS);
    }
    tell({ is: "delivered", samples });
    const isThere = publisher.isReady && subscriber.isReady;
    tell({ is: "over", missing: isThere ? sentMs.length - received : 0 });
  });
}

function fault(kind: "missing" | "duplicate", detail: string): void {
  tell({ is: "fault", kind, detail });
}

function tell(note: BystanderNote): void {
  tellNote(note);
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

stand(readOrder<BystanderOrder>());
