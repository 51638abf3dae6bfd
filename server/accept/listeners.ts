import type {
  Accept,
  Address,
  Listener,
  ListenOptions,
  Runtime,
  TlsIdentity,
} from "../../runtime/types.ts";
import type { Counters } from "../counters.ts";
import type { ServerEvents } from "../events.ts";
import type { AcceptGate } from "./accept_gate.ts";
import { isForWantOfDescriptors } from "./descriptor_look.ts";

/** The parts of the server that its listeners use. */
export interface ListenersHost {
  readonly runtime: Runtime;
  readonly counters: Counters;
  readonly events: Pick<ServerEvents, "onAcceptError">;
  readonly acceptGate: AcceptGate;
}

/** A server that stops would only accept clients to close them. */
const CLOSED = "the server is being stopped";

/** The addresses on which a server listens: all of them accept, renew and close together. */
export class Listeners {
  readonly #host: ListenersHost;
  readonly #listeners: Listener[] = [];
  #renewing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(host: ListenersHost) {
    this.#host = host;
  }

  /**
   * Listens on one more address.
   *
   * @throws {TransportError} (rejects) if it can't listen there.
   * @throws {Error} (rejects) if it was closed, or is before it listens.
   */
  async open(options: ListenOptions, accept: Accept): Promise<Address> {
    const { runtime, counters, events, acceptGate } = this.#host;
    if (this.#isClosed) throw new Error(CLOSED);
    const listener = await runtime.listen({
      ...options,
      onAcceptError: (error) => {
        counters.acceptErrors++;
        if (isForWantOfDescriptors(error)) acceptGate.ranOut();
        events.onAcceptError(error);
      },
      beforeAccept: () => acceptGate.untilOpen(),
    }, accept);
    if (this.#isClosed) {
      await listener.close();
      throw new Error(CLOSED);
    }
    this.#listeners.push(listener);
    return listener.address;
  }

  /** Uses another TLS identity from the next handshake on; see {@linkcode Listener.renew}. */
  renew(identity: TlsIdentity): Promise<void> {
    // A listener takes one identity at a time.
    return this.#renewing = this.#renewing.catch(() => {}).then(async () => {
      for (const listener of this.#listeners) {
        if (!this.#isClosed) await listener.renew(identity);
      }
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}
