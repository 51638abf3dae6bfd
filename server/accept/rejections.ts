import { encodeError } from "../../protocol/encoder.ts";
import type { TimestampIssuer } from "../../protocol/timestamp.ts";
import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import { WebSocketConnection } from "../../runtime/websocket/connection.ts";
import { toMessages } from "../flow/messages.ts";
import { closeCodeFor } from "../session/websocket/close_codes.ts";
import type { Refusal } from "../access/admission.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Counters } from "../counters.ts";
import { countGone } from "./connection_count.ts";
import {
  RejectedConnection,
  type RejectionHost,
  type RejectionPhase,
} from "./rejected_connection.ts";
import type { ServerEvents } from "../events.ts";

/** Milliseconds for which a handshake may keep a descriptor that is wanted. */
const WANTED_HANDSHAKE_MS = 1_000;

const CODE = "too_many_connections";

/** The parts of the server that rejections use. */
export interface RejectionContext {
  readonly clock: CoarseClock;
  readonly timestamps: TimestampIssuer;
  readonly counters: Counters;
  readonly events: Pick<ServerEvents, "onSessionEnd">;
}

/** The connections for which there is no room, until each has been told and is gone. */
export class Rejections implements RejectionHost {
  readonly #context: RejectionContext;
  /** The connections of each phase, in the order in which they entered it. */
  readonly #inPhase: Readonly<Record<RejectionPhase, Set<RejectedConnection>>> = {
    securing: new Set(),
    undecided: new Set(),
    telling: new Set(),
    closing: new Set(),
    leaving: new Set(),
  };
  #size = 0;
  /** Called once, when a connection can be let go, or is gone. */
  #onProgress: (() => void) | undefined;

  constructor(context: RejectionContext) {
    this.#context = context;
  }

  /** The number of these connections; each has a descriptor. */
  get size(): number {
    return this.#size;
  }

  get nowMs(): number {
    return this.#context.clock.nowMs;
  }

  frameFor(detail: string, connection: Connection): Uint8Array {
    const error = encodeError(this.#context.timestamps.next(), CODE, detail);
    const frame = connection instanceof WebSocketConnection ? toMessages(error) : error;
    this.#context.counters.bytesOut += frame.byteLength;
    return frame;
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
      countGone(this.#context.counters, rejected.connection);
    }
    if (to !== "leaving" && to !== "telling") this.noteProgress();
  }

  /**
   * Takes over a connection: waits for its first bytes, tells the client why it is refused, and closes.
   *
   * @param hasHandshake True if a handshake has to be done first.
   */
  reject(
    connection: Connection,
    { detail, isNews }: Refusal,
    hasHandshake: boolean,
  ): ConnectionHandler {
    if (connection instanceof WebSocketConnection) {
      connection.closeWith(closeCodeFor(CODE), CODE);
    }
    const { counters, events } = this.#context;
    counters.ended[CODE]++;
    const { remoteAddress, remotePort } = connection;
    const nothing = { pendingBytes: 0, topic: undefined, topicCount: 0, ageMs: 0 };
    if (isNews) {
      events.onSessionEnd({ ...nothing, remoteAddress, remotePort, reason: CODE, detail });
    }
    const phase = hasHandshake ? "securing" : "undecided";
    const rejected = new RejectedConnection(connection, detail, phase, this);
    this.#size++;
    this.#inPhase[phase].add(rejected);
    this.noteProgress();
    return rejected;
  }

  /**
   * Frees so many descriptors without waiting. Clients that have their answer go first, then undecided
   * ones, which are told now, then handshakes, which are given up.
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
   * Frees the descriptors of all connections that need no more waiting.
   *
   * @param isPatient True if undecided connections may go on waiting for first bytes; otherwise they are
   * told now.
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

  /** Resolves when a connection has gone into another phase, or with the next sweep. */
  progress(): Promise<void> {
    return new Promise((resolve) => this.#onProgress = resolve);
  }

  /** Resolves {@linkcode progress}. */
  noteProgress(): void {
    this.#onProgress?.();
    this.#onProgress = undefined;
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
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

  /** Closes all connections: those that have their answer in order, the others at once. */
  destroy(): void {
    for (const rejected of this.#inPhase.closing) rejected.hurry();
    for (const queue of Object.values(this.#inPhase)) {
      for (const rejected of queue) rejected.destroy();
    }
  }
}
