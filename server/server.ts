import type { Address, ListenOptions, Runtime, TlsIdentity } from "../runtime/types.ts";
import { acceptWebSockets } from "../runtime/websocket/layer.ts";
import { OriginRules } from "../runtime/websocket/origins.ts";
import { type AccessOptions, AccessRules } from "./access/access.ts";
import type { Mesh } from "./cluster/mesh.ts";
import type { Cluster } from "./machines/cluster.ts";
import type { Counters } from "./counters.ts";
import { LocalPublisher, type Message, type PublishReceipt } from "./embedding/local_publisher.ts";
import type { ServerEvents } from "./events.ts";
import type { SavedHistory } from "./history/history_file.ts";
import { imageOf, ImageReader, wholeBounds } from "./history/image.ts";
import type { Borrower } from "./lending/borrower.ts";
import type { Limits } from "./limits.ts";
import { STOP_DEADLINE_MS } from "./limits/shutdown.ts";
import {
  type ServerOptions,
  type StopOptions,
  timeFault,
  type TopicCounts,
} from "./server_options.ts";
import { ServerParts } from "./server_parts.ts";
import type { OtherProcesses } from "./shares/other_processes.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import { type TraceFilter, Tracer, type TraceSink } from "./telemetry/tracer.ts";

/** A Janus server on one runtime: accepts connections and fans messages out to subscribers. */
export class Server {
  readonly #parts: ServerParts;
  #ownPublisher: LocalPublisher | undefined;
  #draining: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #retiring: Promise<void> | undefined;

  constructor(
    runtime: Runtime,
    limits: Limits,
    events: ServerEvents,
    options: ServerOptions = {},
  ) {
    this.#parts = new ServerParts(runtime, limits, events, options);
  }

  /** Counts of what it has done so far. They are live, and must only be read. */
  get counters(): Readonly<Counters> {
    return this.#parts.counters;
  }

  /** The links to the server's other processes; `undefined` if it has only one process. */
  get mesh(): Mesh | undefined {
    return this.#parts.backplanes.mesh;
  }

  /** The backplane to other machines; `undefined` if there are none. */
  get cluster(): Cluster | undefined {
    return this.#parts.backplanes.cluster;
  }

  /** Its measurements for the admin port; `undefined` unless asked for. */
  get telemetry(): Telemetry | undefined {
    return this.#parts.telemetry;
  }

  /** The addresses' shares on the other processes; `undefined` if it has only one process. */
  get others(): OtherProcesses | undefined {
    return this.#parts.places.others;
  }

  /** Borrows permits of the limits that all processes share; `undefined` if there is only one process. */
  get borrower(): Borrower | undefined {
    return this.#parts.places.shared?.borrower;
  }

  /**
   * Publishes a message of the host program; see {@linkcode LocalPublisher.publish}.
   */
  publish(message: Message): Promise<PublishReceipt> {
    if (this.#draining !== undefined) return Promise.reject(new Error("The server stops"));
    return (this.#ownPublisher ??= new LocalPublisher(this.#parts.context)).publish(message);
  }

  /** The topics that have subscribers now. */
  *topics(): Generator<TopicCounts> {
    for (const { name, subscriberCount, deliveries } of this.#parts.context.topics.all()) {
      yield { topic: name, subscribers: subscriberCount, deliveries };
    }
  }

  /**
   * Shows the frames that some clients send and are sent.
   *
   * @returns Ends that.
   */
  trace(filter: TraceFilter, onFrames: TraceSink): () => void {
    const { context } = this.#parts;
    const tracer = context.tracer ??= new Tracer();
    const end = tracer.watch(filter, onFrames);
    return () => {
      end();
      // Without a tracer the sessions show their frames to no one.
      if (!tracer.isWatched && context.tracer === tracer) context.tracer = undefined;
    };
  }

  /** Topics that have subscribers now. */
  get topicCount(): number {
    return this.#parts.context.topics.size;
  }

  /** Bytes of memory that connections make it hold now, without {@linkcode standingBytes}. */
  get heldBytes(): number {
    return this.#parts.memory.budget.heldBytes;
  }

  /** Bytes of memory that subscriptions and topics hold now. */
  get standingBytes(): number {
    return this.#parts.memory.budget.standingBytes;
  }

  /**
   * Begins to accept connections. To be called once.
   *
   * @returns The address on which it listens.
   * @throws {TransportError} (rejects) if it can't listen there.
   */
  async listen(options: ListenOptions): Promise<Address> {
    if (this.cluster?.isReady === false) this.cluster.becomeReady();
    const { acceptor, context, listeners } = this.#parts;
    acceptor.isSecure = context.copies = options.tls !== undefined;
    const address = await listeners.open(options, (connection) => acceptor.accept(connection));
    this.#parts.start();
    return address;
  }

  /**
   * Begins to accept WebSockets, on an address of their own. To be called once, after {@linkcode listen},
   * with TLS if that had TLS.
   *
   * @param origins The pages that may connect; see {@linkcode OriginRules}.
   * @returns The address on which it listens.
   * @throws {RangeError} (rejects) if an origin isn't valid.
   * @throws {TransportError} (rejects) if it can't listen there.
   */
  async listenForWebSockets(
    options: ListenOptions,
    origins: readonly string[] | undefined,
  ): Promise<Address> {
    const { acceptor, listeners } = this.#parts;
    const accept = acceptWebSockets(
      new OriginRules(origins),
      (connection) => acceptor.acceptWebSocket(connection),
    );
    return await listeners.open(options, accept);
  }

  /**
   * Uses another TLS identity from the next handshake on; live connections keep theirs.
   *
   * @throws {TransportError} (rejects) if the identity can't be used; the old one stays in use.
   */
  renew(identity: TlsIdentity): Promise<void> {
    return this.#parts.listeners.renew(identity);
  }

  /**
   * Uses other access rules for clients that connect or authenticate from now on. A connected client keeps
   * what it was allowed.
   *
   * @throws {RangeError} if an address or a key isn't valid; the old rules stay in use.
   */
  setAccess(access: AccessOptions): void {
    this.#parts.context.access = new AccessRules(access);
  }

  /** Stores what another run of the server has left. To be called before it has clients. */
  restoreHistory({ records, ageMs }: SavedHistory): void {
    const { context: { origins, budget, clock }, history } = this.#parts;
    const reader = new ImageReader({ history, origins, budget, ageMs, clock });
    for (const record of records) reader.take(record);
  }

  /** The records of what is stored, for the next run. To be called when no client is left. */
  historyRecords(): Generator<Uint8Array> {
    const { context: { origins, topics, clock, timestamps }, history } = this.#parts;
    topics.sealAll();
    const own = { micros: timestamps.next() };
    return imageOf(history, origins, clock, wholeBounds(origins), own);
  }

  /**
   * Accepts no more connections, reads what has arrived, and resolves when all that was accepted is
   * on its way. Idempotent.
   */
  drain(): Promise<void> {
    return this.#draining ??= this.#drain();
  }

  /**
   * Drains, tells all clients `server_shutdown` and closes them. Resolves when all connections are gone,
   * within {@linkcode STOP_DEADLINE_MS} and `drainMs`; connections that are left then are aborted. If other
   * processes serve too, it then waits until they have taken what was accepted here, or have ended: for one
   * that hangs 13 s at most. Idempotent.
   *
   * @throws {RangeError} (rejects) if `drainMs` is negative or not finite.
   */
  stop({ drainMs }: StopOptions = {}): Promise<void> {
    const fault = timeFault("drainMs", drainMs);
    if (fault !== undefined) return Promise.reject(fault);
    return this.#stopping ??= this.#stop(drainMs);
  }

  /**
   * Stops, but stays linked with the other processes, so that they may end before it does. Idempotent.
   *
   * @param drainMs See {@linkcode StopOptions}.
   */
  retire(drainMs?: number): Promise<void> {
    return this.#retiring ??= this.#retire(drainMs);
  }

  async #drain(): Promise<void> {
    const { context: { throttle }, lameDuck, listeners, rejections } = this.#parts;
    this.#ownPublisher?.stop();
    this.mesh?.hurry();
    await listeners.close();
    rejections.tellAll();
    throttle.lift();
    await lameDuck.becomeQuiet();
    throttle.restore();
  }

  async #stop(drainMs: number | undefined): Promise<void> {
    await this.retire(drainMs);
    await this.mesh?.close();
  }

  async #retire(drainMs: number | undefined): Promise<void> {
    const deadlineMs = performance.now() + STOP_DEADLINE_MS + (drainMs ?? 0);
    const { counters, lameDuck, places, rejections } = this.#parts;
    await this.drain();
    await lameDuck.closeAll(drainMs);
    await lameDuck.awaitGone(deadlineMs);
    rejections.destroy();
    places.shared?.held.destroy();
    while (counters.connections > 0) await lameDuck.nextTurn();
    this.#ownPublisher?.end();
    this.#parts.stop();
    this.mesh?.sayGoodbye();
    await lameDuck.awaitTaken();
    await this.cluster?.leave();
  }
}
