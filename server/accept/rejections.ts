import { encodeError } from "../../protocol/encoder.ts";
import type { TimestampIssuer } from "../../protocol/timestamp.ts";
import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import type { Refusal } from "../access/admission.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Counters } from "../counters.ts";
import {
  RejectedConnection,
  type RejectionHost,
  type RejectionPhase,
} from "./rejected_connection.ts";
import type { ServerEvents } from "../events.ts";

/** Milliseconds for which a handshake may hold a descriptor that is wanted. */
const WANTED_HANDSHAKE_MS = 1_000;

const CODE = "too_many_connections";

/** What rejections need of the server. */
export interface RejectionContext {
  readonly clock: CoarseClock;
  readonly timestamps: TimestampIssuer;
  readonly counters: Counters;
  readonly events: Pick<ServerEvents, "onSessionEnd">;
}

/** Connections that there's no room for, until each knows and is gone. */
export class Rejections implements RejectionHost {
  readonly #context: RejectionContext;
  /** Each in the order in which it came into its phase. */
  readonly #inPhase: Readonly<Record<RejectionPhase, Set<RejectedConnection>>> = {
    securing: new Set(),
    undecided: new Set(),
    telling: new Set(),
    closing: new Set(),
    leaving: new Set(),
  };
  #size = 0;
  /** Called once, when one has moved on so that more can be let go, or is gone. */
  #onProgress: (() => void) | undefined;

  constructor(context: RejectionContext) {
    this.#context = context;
  }

  /** How many there are; each has a descriptor. */
  get size(): number {
    return this.#size;
  }

  get nowMs(): number {
    return this.#context.clock.nowMs;
  }

  frameFor(detail: string): Uint8Array {
    return encodeError(this.#context.timestamps.next(), CODE, detail);
  }

  moved(
    rejected: RejectedConnection,
    from: RejectionPhase,
    to: RejectionPhase | undefined,
  ): void {
    this.#inPhase[from].delete(rejected);
    if (to !== undefined) this.#inPhase[to].add(rejected);
    else {
      this.#size--;
      this.#context.counters.connections--;
    }
    if (to !== "leaving" && to !== "telling") this.noteProgress();
  }

  /**
   * Takes on a connection: finds out who the client is, tells it, and closes.
   *
   * @param isSecure Whether TLS is spoken, and its handshake is still to be done.
   */
  reject(
    connection: Connection,
    { detail, isNews }: Refusal,
    isSecure: boolean,
  ): ConnectionHandler {
    const { counters, events } = this.#context;
    counters.ended[CODE]++;
    const { remoteAddress, remotePort } = connection;
    const nothing = { pendingBytes: 0, topic: undefined, topicCount: 0, ageMs: 0 };
    if (isNews) {
      events.onSessionEnd({ ...nothing, remoteAddress, remotePort, reason: CODE, detail });
    }
    const phase = isSecure ? "securing" : "undecided";
    const rejected = new RejectedConnection(connection, detail, phase, this);
    this.#size++;
    this.#inPhase[phase].add(rejected);
    this.noteProgress();
    return rejected;
  }

  /**
   * Frees so many descriptors without waiting: first of connections whose client has its answer, then of
   * undecided ones, which are told now; at last handshakes are given up.
   */
  makeRoom(count: number): void {
    const { leaving, telling, closing, undecided, securing } = this.#inPhase;
    let left = count - leaving.size;
    for (const queue of [telling, closing, undecided, securing]) {
      for (const rejected of queue) {
        if (left-- <= 0) return;
        rejected.hurry();
      }
    }
  }

  /**
   * Frees the descriptors of all connections that needn't be waited for.
   *
   * @param isPatient Whether undecided connections may wait on for first bytes; else they are told.
   */
  letGo(isPatient: boolean): void {
    const { telling, closing, undecided, securing } = this.#inPhase;
    for (const queue of isPatient ? [telling, closing] : [telling, closing, undecided]) {
      for (const rejected of queue) rejected.hurry();
    }
    for (const rejected of securing) {
      if (!rejected.isOlderThan(WANTED_HANDSHAKE_MS)) return;
      rejected.hurry();
    }
  }

  /** Resolves when one has moved on, or with the next sweep. */
  progress(): Promise<void> {
    return new Promise((resolve) => this.#onProgress = resolve);
  }

  /** Resolves {@linkcode progress}. */
  noteProgress(): void {
    this.#onProgress?.();
    this.#onProgress = undefined;
  }

  /** Looks at the deadlines. To be called about once a sweep. */
  sweep(nowMs: number): void {
    for (const queue of Object.values(this.#inPhase)) {
      for (const rejected of queue) rejected.sweep(nowMs);
    }
    this.noteProgress();
  }

  /** Tells every undecided connection at once. */
  tellAll(): void {
    for (const rejected of this.#inPhase.undecided) rejected.tell();
  }

  /** Drops all connections, those that are told in order. */
  destroy(): void {
    for (const rejected of this.#inPhase.closing) rejected.hurry();
    for (const queue of Object.values(this.#inPhase)) {
      for (const rejected of queue) rejected.destroy();
    }
  }
}
