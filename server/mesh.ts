import type { Connection, ConnectionHandler, Listener, Runtime } from "../runtime/types.ts";
import type { Backplane } from "./backplane.ts";
import { Gate, type Waiter } from "./gate.ts";
import { LinkDecoder, LinkEncoder, type LinkFrames } from "./link_frames.ts";
import { MAX_BATCH_BYTES, MAX_COLLECTED_BYTES } from "./limits.ts";
import { Outbox, type OutboxContext } from "./outbox.ts";
import { SharedChunk } from "./shared_chunk.ts";

/** What the mesh needs of the server it belongs to. */
export interface MeshHost extends OutboxContext {
  readonly runtime: Runtime;
  /**
   * Fans out a message that another process accepted.
   *
   * @returns The gate at which messages of that topic should wait, if they should.
   */
  publishForwarded(topic: string, micros: number, message: Uint8Array): Gate | undefined;
}

/**
 * A backplane of Unix sockets: each process listens on one of its own, and dials every other. A
 * link carries messages one way, so that each direction waits only for its own reader.
 */
export class Mesh implements Backplane {
  readonly #host: MeshHost;
  readonly #links = new Map<string, OutgoingLink>();
  readonly #encoder = new LinkEncoder();
  readonly #gate: Gate;
  #listener: Listener | undefined;
  #isFlushScheduled = false;

  constructor(host: MeshHost) {
    this.#host = host;
    this.#gate = new Gate(host.runtime);
  }

  /** Listens for the other processes, on a socket's path. */
  async listen(path: string): Promise<void> {
    this.#listener = await this.#host.runtime.listen(
      { transport: "unix", path },
      (connection) => new IncomingLink(connection, this.#host),
    );
  }

  /**
   * Sends what is accepted from now on to the process that listens at `path` too.
   *
   * @throws {TransportError} (rejects) if it doesn't.
   */
  async link(path: string): Promise<void> {
    if (this.#links.has(path)) return;
    await this.#host.runtime.connect({ transport: "unix", path }, (connection) => {
      const link = new OutgoingLink(connection, this.#host, () => this.#openGate(), () => {
        this.#links.delete(path);
        this.#openGate();
      });
      this.#links.set(path, link);
      return link;
    });
  }

  /** True when everything forwarded has left this process. */
  get isFlushed(): boolean {
    if (this.#encoder.byteLength > 0) return false;
    for (const link of this.#links.values()) if (link.pendingBytes > 0) return false;
    return true;
  }

  forward(topic: string, micros: number, message: Uint8Array): void {
    if (this.#links.size === 0) return;
    this.#encoder.append(topic, micros, message);
    if (this.#encoder.byteLength >= MAX_BATCH_BYTES) this.#flush();
    else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      this.#host.runtime.nextTurn(() => {
        this.#isFlushScheduled = false;
        this.#flush();
      });
    }
  }

  get gate(): Gate | undefined {
    for (const link of this.#links.values()) {
      if (link.pendingBytes > MAX_COLLECTED_BYTES) return this.#gate;
    }
    return undefined;
  }

  /** Closes the links and stops listening. */
  async close(): Promise<void> {
    for (const link of this.#links.values()) link.close();
    await this.#listener?.close();
  }

  #flush(): void {
    if (this.#encoder.byteLength === 0) return;
    const chunk = new SharedChunk(this.#encoder.take(), this.#host.budget);
    for (const link of this.#links.values()) link.send(chunk);
  }

  #openGate(): void {
    this.#gate.open();
  }
}

class OutgoingLink implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #onCaughtUp: () => void;
  readonly #onGone: () => void;

  constructor(
    connection: Connection,
    context: OutboxContext,
    onCaughtUp: () => void,
    onGone: () => void,
  ) {
    this.#connection = connection;
    this.#outbox = new Outbox(connection, context);
    this.#onCaughtUp = onCaughtUp;
    this.#onGone = onGone;
  }

  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  send(chunk: SharedChunk): void {
    this.#outbox.send(chunk);
  }

  close(): void {
    this.#connection.close();
  }

  onData(): void {}

  onDrain(): void {
    this.#outbox.drained();
    if (this.#outbox.hasCaughtUp) this.#onCaughtUp();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#outbox.discard();
    this.#onGone();
  }
}

/** Reads what another process accepted, no faster than this one can fan it out. */
class IncomingLink implements ConnectionHandler, LinkFrames, Waiter {
  readonly #connection: Connection;
  readonly #host: MeshHost;
  readonly #decoder = new LinkDecoder();
  #gate: Gate | undefined;

  constructor(connection: Connection, host: MeshHost) {
    this.#connection = connection;
    this.#host = host;
  }

  onData(chunk: Uint8Array): void {
    this.#gate = undefined;
    this.#decoder.push(chunk, this);
    if (this.#gate === undefined) return;
    this.#connection.pauseReading();
    (this.#gate as Gate).wait(this);
  }

  onForwarded(topic: string, micros: number, message: Uint8Array): void {
    this.#gate = this.#host.publishForwarded(topic, micros, message) ?? this.#gate;
  }

  resume(): void {
    this.#connection.resumeReading();
  }

  onDrain(): void {}

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#gate?.leave(this);
  }
}
