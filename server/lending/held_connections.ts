import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import type { Attempt, Refusal } from "../access/admission.ts";
import type { Waiter, WaitingPlace } from "../flow/gate.ts";

/** Makes the handler of a connection once it is known whether it is refused. */
export type Settle = (refusal: Refusal | undefined) => ConnectionHandler;

/**
 * Holds accepted connections, neither greeted nor refused, until it is known whether the server has room
 * for them.
 */
export class HeldConnections {
  readonly #place: WaitingPlace;
  readonly #onGone: (connection: Connection) => void;
  readonly #held = new Set<HeldConnection>();

  /**
   * @param place The place where they wait.
   * @param onGone Called when a connection has gone before it was settled.
   */
  constructor(place: WaitingPlace, onGone: (connection: Connection) => void) {
    this.#place = place;
    this.#onGone = onGone;
  }

  /** The number of held connections. */
  get size(): number {
    return this.#held.size;
  }

  /** Holds a connection, without reading it, until its attempt is settled. To be called during accept. */
  hold(connection: Connection, attempt: Attempt, settle: Settle): ConnectionHandler {
    const held = new HeldConnection(connection, attempt, settle, this);
    this.#held.add(held);
    this.#place.wait(held);
    return held;
  }

  /** Aborts all held connections. */
  destroy(): void {
    for (const held of this.#held) held.destroy();
  }

  onUnsettled(held: HeldConnection): void {
    this.#place.wait(held);
  }

  onSettled(held: HeldConnection): void {
    this.#held.delete(held);
  }

  onClose(held: HeldConnection): void {
    this.#held.delete(held);
    this.#place.leave(held);
    this.#onGone(held.connection);
  }
}

/** One held connection. Once it is settled, it passes its connection's events on to the new handler. */
class HeldConnection implements ConnectionHandler, Waiter {
  readonly connection: Connection;
  readonly #owner: HeldConnections;
  /** Only until it is settled: this object lives as long as its connection, and should keep little. */
  #attempt: Attempt | undefined;
  #settle: Settle | undefined;
  #heir: ConnectionHandler | undefined;
  #isSecure = false;

  constructor(connection: Connection, attempt: Attempt, settle: Settle, owner: HeldConnections) {
    this.connection = connection;
    this.#attempt = attempt;
    this.#settle = settle;
    this.#owner = owner;
    connection.pauseReading();
  }

  resume(): void {
    const outcome = this.#attempt?.retry();
    if (outcome === "unsettled") return this.#owner.onUnsettled(this);
    this.#owner.onSettled(this);
    this.#heir = this.#settle?.(outcome);
    this.#attempt = this.#settle = undefined;
    this.connection.resumeReading();
    this.#heir?.onHeld?.();
    if (this.#isSecure) this.#heir?.onSecure?.();
  }

  destroy(): void {
    this.connection.destroy();
  }

  onSecure(): void {
    this.#isSecure = true;
    this.#heir?.onSecure?.();
  }

  onData(chunk: Uint8Array): void {
    this.#heir?.onData(chunk);
  }

  onHeld(): void {
    this.#heir?.onHeld?.();
  }

  onDrain(): void {
    this.#heir?.onDrain();
  }

  onEnd(): void {
    this.#heir?.onEnd();
  }

  onClose(why: TransportEnd, cause?: Error): void {
    if (this.#heir !== undefined) return this.#heir.onClose(why, cause);
    this.#attempt?.abandon();
    this.#owner.onClose(this);
  }
}
