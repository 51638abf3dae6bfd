import type { Listener } from "../runtime/types.ts";
import type { Backplane } from "./backplane.ts";
import { Gate } from "./gate.ts";
import { IncomingLink, type MeshHost } from "./incoming_link.ts";
import { MAX_BATCH_BYTES } from "./limits.ts";
import { LinkEncoder } from "./link_frames.ts";
import { OutgoingLink } from "./outgoing_link.ts";
import type { OwedReceipt } from "./owed_receipts.ts";
import { SharedChunk } from "./shared_chunk.ts";
import { TopicHolds } from "./topic_holds.ts";

/**
 * A backplane of Unix sockets: each process listens on one of its own, and dials every other. A
 * link carries messages one way, so that each direction waits only for its own reader, and the other
 * way what became of them, where that was asked.
 */
export class Mesh implements Backplane {
  readonly #host: MeshHost;
  readonly #links = new Map<string, OutgoingLink>();
  readonly #incoming = new Set<IncomingLink>();
  readonly #holds: TopicHolds;
  readonly #encoder = new LinkEncoder();
  readonly #gate: Gate;
  #listener: Listener | undefined;
  #isFlushScheduled = false;

  constructor(host: MeshHost) {
    this.#host = host;
    this.#gate = new Gate(host.runtime);
    this.#holds = new TopicHolds(host.runtime);
  }

  /** Listens for the other processes, on a socket's path. */
  async listen(path: string): Promise<void> {
    this.#listener = await this.#host.runtime.listen(
      { transport: "unix", path },
      (connection) => {
        const link = new IncomingLink(connection, this.#host, () => this.#incoming.delete(link));
        this.#incoming.add(link);
        return link;
      },
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
      const link = new OutgoingLink(connection, this.#host, this.#holds, {
        onCaughtUp: () => this.#gate.open(),
        onStalled: () => {
          this.#gate.open();
          this.#host.onStalled();
        },
        onOverdue: (owedBytes, silentMs) => this.#host.onOverdue({ path, owedBytes, silentMs }),
        onGone: () => {
          this.#links.delete(path);
          this.#gate.open();
        },
      });
      this.#links.set(path, link);
      return link;
    });
  }

  /** Other processes that this one is linked with. */
  get linkCount(): number {
    return this.#links.size;
  }

  /** Whether a publisher here waits for what other processes tell of its message. */
  get awaitsReceipts(): boolean {
    for (const link of this.#links.values()) if (link.awaitsAnswers) return true;
    return false;
  }

  /** True when everything forwarded has left this process, but for what waits for one that hangs. */
  get isFlushed(): boolean {
    if (this.#encoder.byteLength > 0) return false;
    for (const link of this.#links.values()) {
      if (link.pendingBytes > 0 && !link.isStalled) return false;
    }
    return true;
  }

  forward(topic: string, micros: number, message: Uint8Array): void {
    if (this.#links.size > 0) this.#forward(topic, micros, message, false);
  }

  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void {
    if (this.#links.size === 0) return;
    for (const link of this.#links.values()) link.awaitAnswer(owed);
    this.#forward(topic, owed.micros, message, true);
  }

  get gate(): Gate | undefined {
    for (const link of this.#links.values()) if (link.isFull) return this.#gate;
    return undefined;
  }

  gateOf(topic: string): Gate | undefined {
    return this.#holds.gateOf(topic);
  }

  /** Looks at the deadlines. To be called about once a sweep. */
  sweep(): void {
    for (const link of this.#links.values()) link.sweep();
    for (const link of this.#incoming) link.sweep();
  }

  /** Closes the links and stops listening. */
  async close(): Promise<void> {
    for (const link of this.#links.values()) link.close();
    await this.#listener?.close();
  }

  #forward(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    this.#encoder.append(topic, micros, message, wantsReceipt);
    if (this.#encoder.byteLength >= MAX_BATCH_BYTES) this.#flush();
    else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      this.#host.runtime.nextTurn(() => {
        this.#isFlushScheduled = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    if (this.#encoder.byteLength === 0) return;
    const chunk = new SharedChunk(this.#encoder.take(), this.#host.budget);
    for (const link of this.#links.values()) link.send(chunk);
  }
}
