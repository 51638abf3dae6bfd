import { linkDescriptorsFor } from "../host/capacity.ts";
import { ClientDecoder } from "../protocol/client_decoder.ts";
import type {
  Accept,
  Address,
  Connection,
  ConnectionHandler,
  Listener,
  ListenOptions,
  Runtime,
  TlsIdentity,
} from "../runtime/types.ts";
import type { WebSocketConnection } from "../runtime/websocket/connection.ts";
import { acceptWebSockets } from "../runtime/websocket/layer.ts";
import { OriginRules } from "../runtime/websocket/origins.ts";
import { AcceptGate } from "./accept/accept_gate.ts";
import { type AccessOptions, AccessRules } from "./access/access.ts";
import { AddressTable } from "./access/address_table.ts";
import type { Admission, Refusal } from "./access/admission.ts";
import type { OverdueProcess, OwedProcess, UnreachableProcess } from "./cluster/backplane.ts";
import { CoarseClock } from "./timing/coarse_clock.ts";
import { type Counters, newCounters } from "./counters.ts";
import { isForWantOfDescriptors, seesDescriptors } from "./accept/descriptor_look.ts";
import { DueWrites } from "./flow/due_writes.ts";
import { FairReader } from "./flow/fair_reader.ts";
import { LameDuck } from "./shutdown/lame_duck.ts";
import type { Borrower } from "./lending/borrower.ts";
import type { HeldConnections } from "./lending/held_connections.ts";
import { type LendingOptions, SharedLimits } from "./lending/shared_limits.ts";
import { type Limits } from "./limits.ts";
import { STOP_DEADLINE_MS } from "./limits/shutdown.ts";
import type { ServerEvents } from "./events.ts";
import type { LinkState } from "./cluster/link_dialler.ts";
import { LocalPublisher, type Message, type PublishReceipt } from "./embedding/local_publisher.ts";
import { type TopicHooks, TopicPermits } from "./embedding/topic_permits.ts";
import { MemoryBudget } from "./flow/memory_budget.ts";
import { MemoryDefence } from "./memory/memory_defence.ts";
import { Mesh } from "./cluster/mesh.ts";
import { CatchUps } from "./topics/catch_ups.ts";
import { History } from "./history/history.ts";
import type { SavedHistory } from "./history/history_file.ts";
import { imageOf, ImageReader, wholeBounds } from "./history/image.ts";
import { Origins } from "./history/origins.ts";
import { ReplayThrottle } from "./access/replay_throttle.ts";
import { Tagging } from "./history/tagging.ts";
import { ReceiptDesk } from "./topics/receipt_desk.ts";
import { Replies } from "./session/replies.ts";
import { PublishThrottle } from "./flow/publish_throttle.ts";
import { Rejections } from "./accept/rejections.ts";
import { Session } from "./session/session.ts";
import { WebSocketSession } from "./session/web_socket_session.ts";
import type { SessionContext } from "./session/session_context.ts";
import { SessionTable } from "./session/session_table.ts";
import { Displacement } from "./shares/displacement.ts";
import { LocalAdmission } from "./shares/local_admission.ts";
import { Holders } from "./shares/holders.ts";
import { OtherProcesses } from "./shares/other_processes.ts";
import { SlowKeys } from "./access/slow_keys.ts";
import { Sweeper } from "./session/sweeper.ts";
import { PassRecorder } from "./telemetry/pass_recorder.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import { type TraceFilter, Tracer, type TraceSink } from "./telemetry/tracer.ts";
import { WatchedTopics } from "./telemetry/watched_topics.ts";
import { Timekeeper } from "./timing/timekeeper.ts";
import { TokenSource } from "./access/token_source.ts";
import { TopicRegistry } from "./topics/topic_registry.ts";
import { FairScheduler } from "./timing/fair_scheduler.ts";

/** The options of a stop. */
export interface StopOptions {
  /**
   * Milliseconds over which the closes are spread, so that clients don't come back all at once. A client is
   * served as ever until it is told. Unless given, a second for every 5,000 connections, and four at most.
   */
  readonly drainMs?: number;
}

/** A topic with subscribers, and its counts. */
export interface TopicCounts {
  /** The topic's name. */
  readonly topic: string;
  /** Subscribers now. */
  readonly subscribers: number;
  /** Messages handed to subscribers since the topic has some: one for each message and subscriber. */
  readonly deliveries: number;
}

/** The settings of a server's telemetry. */
export interface TelemetryOptions {
  /** Topics that are counted by name. */
  readonly topics: readonly string[];
}

/** The fault of an option that is a time in milliseconds; `undefined` if it has none, or isn't given. */
export function timeFault(name: string, ms: number | undefined): RangeError | undefined {
  if (ms === undefined || ms >= 0 && ms < Infinity) return undefined;
  return new RangeError(`${name} must be a number of milliseconds from 0 on, not ${ms}`);
}

/** A Janus server on one runtime: accepts connections and fans messages out to subscribers. */
export class Server {
  /** Counts of what it has done so far. They are live, and must only be read. */
  readonly counters: Readonly<Counters> = newCounters();
  readonly #runtime: Runtime;
  readonly #events: ServerEvents;
  readonly #sessions = new SessionTable<Session>();
  readonly #holders = new Holders();
  readonly #displacement: Displacement;
  readonly #scheduler: FairScheduler;
  readonly #sweeper: Sweeper;
  readonly #memory: MemoryDefence;
  readonly #context: SessionContext & { tracer: Tracer | undefined } & {
    access: AccessRules;
    copies: boolean;
  };
  readonly #admission: Admission;
  readonly #shared: SharedLimits | undefined;
  readonly #lameDuck: LameDuck;
  readonly #rejections: Rejections;
  readonly #acceptGate: AcceptGate;
  readonly #slowKeys: SlowKeys;
  readonly #timekeeper: Timekeeper;
  readonly #history: History;
  readonly #tagging: Tagging;
  readonly #replays: ReplayThrottle;
  #ownPublisher: LocalPublisher | undefined;
  readonly #listeners: Listener[] = [];
  #isSecure = false;
  #renewing: Promise<void> = Promise.resolve();
  #draining: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #retiring: Promise<void> | undefined;

  /** The links to the server's other processes; `undefined` if it has only one process. */
  readonly mesh: Mesh | undefined;
  /** What it knows of itself, for its operator; `undefined` unless asked for. */
  readonly telemetry: Telemetry | undefined;
  /** The addresses' shares on these; `undefined` if it has only one process. */
  readonly others: OtherProcesses | undefined;

  constructor(
    runtime: Runtime,
    limits: Limits,
    events: ServerEvents,
    {
      readMs = () => performance.now(),
      timekeeper = new Timekeeper(),
      hasMesh = false,
      onOverdue,
      onUnreachable,
      onLinkState,
      onDropped,
      access = {},
      lending,
      descriptorLimit,
      telemetry,
      topicHooks,
    }: {
      /** The host program's say about topics. */
      readonly topicHooks?: TopicHooks | undefined;
      /** Makes the server measure its passes and so on, for an admin port; it doesn't unless given. */
      readonly telemetry?: TelemetryOptions | undefined;
      /** The descriptors that the process may have; enough for the limits unless given. */
      readonly descriptorLimit?: number | undefined;
      /** The access rules; every client may publish and subscribe unless given. */
      readonly access?: AccessOptions;
      /** A monotonic clock in milliseconds, for deadlines. */
      readonly readMs?: () => number;
      /** Issues the timestamps. */
      readonly timekeeper?: Timekeeper;
      /** True if other processes serve the same topics. */
      readonly hasMesh?: boolean;
      /**
       * Called once a second while one of them gives no sign of life, and more waits for it than may. It
       * should be ended, since publishers wait for it.
       */
      readonly onOverdue?: (process: OverdueProcess) => void;
      /** Called once a second while a link can't be restored: one of the two processes should be ended. */
      readonly onUnreachable?: (process: UnreachableProcess) => void;
      /** Called every 10 s while a link to one of them is down, and when it stands again. */
      readonly onLinkState?: (state: LinkState) => void;
      /** Called when this process ends before one of them has taken all that was accepted here. */
      readonly onDropped?: (process: OwedProcess) => void;
      /** Shares limits with those processes; unless given, each process has its own. */
      readonly lending?: LendingOptions;
    } = {},
  ) {
    this.#runtime = runtime;
    this.#events = events;
    this.#scheduler = new FairScheduler(runtime);
    const clock = new CoarseClock(readMs());
    const counters: Counters = this.counters;
    this.#memory = new MemoryDefence({
      runtime,
      limits,
      sessions: this.#sessions,
      counters,
      clock,
      readMs,
      onMemory: (event) => events.onMemory?.(event),
      giveUpHistory: (bytes) => this.#history.giveUp(bytes),
    });
    const { budget } = this.#memory;
    const { timestamps } = timekeeper;
    const origins = new Origins(timestamps.next());
    this.#history = new History({ limits, budget, clock, origins, counters });
    this.#tagging = new Tagging(budget, timestamps);
    const catchUps = new CatchUps(runtime, this.#scheduler, counters);
    this.#replays = new ReplayThrottle(runtime, clock, lending?.workers ?? 1);
    const reading = new FairReader(runtime, readMs);
    this.others = lending && new OtherProcesses({
      holders: this.#holders,
      clock,
      send: lending.sendCensus,
      onNews: () => this.borrower?.resumeAll(),
    });
    this.#displacement = new Displacement({
      holders: this.#holders,
      clock,
      others: this.others,
      onDisplaced: (session) => {
        this.#holders.remove(session);
        this.#admission.leave(session.remoteAddress);
      },
      onYielded: () => runtime.nextTurn(() => this.borrower?.resumeAll()),
    });
    this.#shared = lending && new SharedLimits({
      runtime,
      limits,
      clock,
      sessions: this.#sessions,
      displacement: this.#displacement,
      onHeldGone: () => {
        counters.connections--;
        counters.ended.connection_lost++;
      },
    }, lending);
    this.#admission = this.#shared?.admission ??
      new LocalAdmission(
        limits,
        this.#sessions,
        new AddressTable(limits, clock),
        this.#displacement,
      );
    this.#slowKeys = new SlowKeys(clock, lending?.workers ?? 1);
    this.#timekeeper = timekeeper;
    const tokens = new TokenSource();
    const dueWrites = new DueWrites(this.#scheduler);
    const watched = telemetry && new WatchedTopics(telemetry.topics);
    const passes = watched &&
      new PassRecorder({ dueWrites, watched, epochMicros: () => timekeeper.micros });
    const topics = new TopicRegistry(
      {
        runtime,
        budget,
        scheduler: this.#scheduler,
        counters,
        passes,
        maxPendingBytes: limits.maxPendingBytes,
        origins,
        history: this.#history,
        tagging: this.#tagging,
        catchUps,
        hasOtherOrigins: hasMesh,
      },
      limits.maxTopicsTotal,
      this.#shared?.topicPlaces,
    );
    const throttle = new PublishThrottle(runtime, limits, clock);
    this.#sweeper = new Sweeper(
      this.#sessions,
      this.#scheduler,
      clock,
      readMs,
      () => counters.writes,
    );
    this.mesh = !hasMesh ? undefined : new Mesh({
      runtime,
      copies: false,
      limits,
      clock,
      // Bytes for other processes aren't sent to clients.
      counters: { bytesOut: 0 },
      // A budget of its own: otherwise processes that are short of memory would wait for each other for ever.
      budget: new MemoryBudget(limits.maxTotalPendingBytes, {}),
      buffers: this.#memory.buffers,
      history: this.#history,
      historyBudget: budget,
      origins,
      sealTopics: () => topics.sealAll(),
      nowMicros: () => timestamps.next(),
      publishForwarded: (origin, name, micros, message, taker) => {
        counters.messagesForwarded++;
        // Messages that are accepted here from now on are later, even if this process notices later than the
        // other one that the system's clock was set.
        timestamps.raise(micros);
        return topics.publish(origin, name, micros, message, taker);
      },
      publishingGate: () => this.#memory.isPublishingHeld ? this.#memory.gate : undefined,
      onLinkFailure: (error) => {
        counters.linkFailures++;
        if (isForWantOfDescriptors(error)) this.#acceptGate.makeWay();
      },
      onLinkState: (state) => onLinkState?.(state),
      onUnreachable: (process) => onUnreachable?.(process),
      onStalled: () => counters.linkStalls++,
      onOverdue: (process) => onOverdue?.(process),
      onDropped: (process) => onDropped?.(process),
    });
    this.#rejections = new Rejections({ clock, timestamps, counters, events });
    this.#acceptGate = new AcceptGate({
      sessions: this.#sessions,
      held: this.#shared?.held,
      rejections: this.#rejections,
      displacement: this.#displacement,
      processes: lending?.workers ?? 1,
      maxConnections: lending?.maxOwnConnections ?? limits.maxConnections,
      descriptorLimit,
      seesDescriptors: (count) => seesDescriptors(runtime, count),
    });
    this.#lameDuck = new LameDuck({
      runtime,
      counters,
      sessions: this.#sessions,
      scheduler: this.#scheduler,
      reading,
      mesh: this.mesh,
    });
    const strictLimits = { ...limits, demandsTerminator: true };
    this.#context = {
      copies: false,
      runtime,
      limits,
      clock,
      counters,
      budget,
      timestamps,
      origins,
      catchUps,
      replays: this.#replays,
      topics,
      budgetGate: this.#memory.gate,
      reading,
      inputDefence: this.#memory.input,
      ceiling: this.#memory.ceiling,
      replies: new Replies(),
      dueWrites,
      receiptDesk: new ReceiptDesk({ runtime, budget, clock, scheduler: this.#scheduler }),
      throttle,
      access: new AccessRules(access),
      admission: this.#admission,
      displacement: this.#displacement,
      borrower: this.#shared?.borrower,
      slowKeys: this.#slowKeys,
      topicSay: topicHooks && new TopicPermits(runtime, topicHooks, (action, error) => {
        events.onHookFailure?.(action, error);
      }),
      backplane: this.mesh,
      watchedTopics: watched,
      tracer: undefined,
      newDecoder: (demandsTerminators) =>
        new ClientDecoder(demandsTerminators ? strictLimits : limits, this.#memory.buffers),
      newToken: () => tokens.next(),
      onThrottled: (remoteAddress, remotePort) =>
        events.onThrottled?.(remoteAddress, remotePort, limits.publishRate),
      onEnding: (end) => {
        counters.ended[end.reason]++;
        this.telemetry?.noteEnd(end);
        events.onSessionEnd(end);
      },
      onGone: (session) => {
        this.#sessions.remove(session);
        if (this.#displacement.leave(session)) this.#admission.leave(session.remoteAddress);
        else this.#rejections.noteProgress();
        counters.connections--;
      },
    };
    this.telemetry = passes && new Telemetry({
      counters,
      sessions: this.#sessions,
      topics,
      scheduler: this.#scheduler,
      passes,
      watched: passes.watched,
      descriptorLimit,
      heldBytes: () => budget.heldBytes + budget.standingBytes,
      residentBytes: () => runtime.residentBytes,
      linkDescriptors: lending === undefined ? 0 : linkDescriptorsFor(lending.workers),
    });
  }

  /** Borrows permits of the limits that all processes share; `undefined` if there is only one process. */
  get borrower(): Borrower | undefined {
    return this.#shared?.borrower;
  }

  /**
   * Publishes a message of the host program; see {@linkcode LocalPublisher.publish}.
   */
  publish(message: Message): Promise<PublishReceipt> {
    if (this.#draining !== undefined) return Promise.reject(new Error("The server stops"));
    return (this.#ownPublisher ??= new LocalPublisher(this.#context)).publish(message);
  }

  /** The topics that have subscribers now. */
  *topics(): Generator<TopicCounts> {
    for (const { name, subscriberCount, deliveries } of this.#context.topics.all()) {
      yield { topic: name, subscribers: subscriberCount, deliveries };
    }
  }

  /**
   * Shows the frames that some clients send and are sent.
   *
   * @returns Ends that.
   */
  trace(filter: TraceFilter, onFrames: TraceSink): () => void {
    const tracer = this.#context.tracer ??= new Tracer();
    const end = tracer.watch(filter, onFrames);
    return () => {
      end();
      // Frames are in nobody's way again.
      if (!tracer.isWatched && this.#context.tracer === tracer) this.#context.tracer = undefined;
    };
  }

  /** Topics that have subscribers now. */
  get topicCount(): number {
    return this.#context.topics.size;
  }

  /** Addresses that are remembered for the limits of one address. */
  get addressCount(): number {
    return this.#admission.addressCount;
  }

  /** Bytes of memory that connections make it hold now, without {@linkcode standingBytes}. */
  get heldBytes(): number {
    return this.#memory.budget.heldBytes;
  }

  /** Bytes of memory that subscriptions and topics hold now. */
  get standingBytes(): number {
    return this.#memory.budget.standingBytes;
  }

  /**
   * Begins to accept connections. To be called once.
   *
   * @returns The address on which it listens.
   * @throws {TransportError} (rejects) if it can't listen there.
   */
  async listen(options: ListenOptions): Promise<Address> {
    this.#isSecure = this.#context.copies = options.tls !== undefined;
    const address = await this.#open(options, (connection) => this.#accept(connection, undefined));
    this.#sweeper.start(() => this.#afterSweep());
    this.telemetry?.start();
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
    const accept = acceptWebSockets(
      new OriginRules(origins),
      (connection) => this.#accept(connection, connection),
    );
    return await this.#open(options, accept);
  }

  async #open(options: ListenOptions, accept: Accept): Promise<Address> {
    const listener = await this.#runtime.listen({
      ...options,
      onAcceptError: (error) => {
        (this.counters as Counters).acceptErrors++;
        if (isForWantOfDescriptors(error)) this.#acceptGate.ranOut();
        this.#events.onAcceptError(error);
      },
      beforeAccept: () => this.#acceptGate.untilOpen(),
    }, accept);
    this.#listeners.push(listener);
    return listener.address;
  }

  /**
   * Uses another TLS identity from the next handshake on; live connections keep theirs.
   *
   * @throws {TransportError} (rejects) if the identity can't be used; the old one stays in use.
   */
  renew(identity: TlsIdentity): Promise<void> {
    // A listener takes one identity at a time.
    return this.#renewing = this.#renewing.catch(() => {}).then(async () => {
      for (const listener of this.#listeners) {
        if (this.#draining === undefined) await listener.renew(identity);
      }
    });
  }

  /**
   * Uses other access rules for clients that connect or authenticate from now on. A connected client keeps
   * what it was allowed.
   *
   * @throws {RangeError} if an address or a key isn't valid; the old rules stay in use.
   */
  setAccess(access: AccessOptions): void {
    this.#context.access = new AccessRules(access);
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

  /** @param webSocket The connection, if it is a WebSocket. */
  #accept(connection: Connection, webSocket: WebSocketConnection | undefined): ConnectionHandler {
    const counters: Counters = this.counters;
    counters.accepted++;
    counters.connections++;
    const handler = this.#admit(connection, webSocket);
    this.#acceptGate.accepted();
    return handler;
  }

  #admit(connection: Connection, webSocket: WebSocketConnection | undefined): ConnectionHandler {
    const answer = this.#memory.refuse() ??
      this.#admission.admit(connection.remoteAddress, this.#acceptGate.refusal);
    if (answer === undefined || !("retry" in answer)) {
      return this.#settle(connection, webSocket, answer);
    }
    return (this.#shared?.held as HeldConnections).hold(
      connection,
      answer,
      (refusal) => this.#settle(connection, webSocket, refusal),
    );
  }

  /** Begins a session, or refuses the connection. */
  #settle(
    connection: Connection,
    webSocket: WebSocketConnection | undefined,
    refusal: Refusal | undefined,
  ): ConnectionHandler {
    const hasHandshake = this.#isSecure || webSocket !== undefined;
    if (refusal !== undefined) {
      if (refusal.isOfAddress) (this.counters as Counters).refusedByAddress++;
      return this.#rejections.reject(connection, refusal, hasHandshake);
    }
    const session = webSocket === undefined
      ? new Session(connection, this.#context)
      : new WebSocketSession(webSocket, this.#context);
    this.#sessions.add(session);
    if (this.#memory.ceiling.holdsBulk) this.#memory.input.holdBack(session);
    this.#holders.add(session);
    if (hasHandshake) session.awaitHandshake();
    else session.greet();
    return session;
  }

  #afterSweep(): void {
    const { nowMs } = this.#context.clock;
    const clockEvent = this.#timekeeper.follow();
    if (clockEvent !== undefined) this.#events.onClock?.(clockEvent);
    this.#rejections.sweep(nowMs);
    this.#acceptGate.sweep();
    this.#admission.sweep();
    this.#slowKeys.sweep();
    this.#replays.sweep();
    this.#history.sweep();
    this.#tagging.sweep();
    this.others?.sweep();
    this.mesh?.sweep();
    this.#context.throttle.gate.open();
    this.#memory.sweep();
  }

  async #drain(): Promise<void> {
    this.#ownPublisher?.stop();
    this.mesh?.hurry();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    this.#rejections.tellAll();
    const { throttle } = this.#context;
    throttle.lift();
    await this.#lameDuck.becomeQuiet();
    throttle.restore();
  }

  /**
   * Stops, but stays linked with the other processes, so that they may end before it does. Idempotent.
   *
   * @param drainMs See {@linkcode StopOptions}.
   */
  retire(drainMs?: number): Promise<void> {
    return this.#retiring ??= this.#retire(drainMs);
  }

  /** Stores what another run of the server has left. To be called before it has clients. */
  restoreHistory({ records, ageMs }: SavedHistory): void {
    const { origins, budget } = this.#context;
    const reader = new ImageReader({ history: this.#history, origins, budget, ageMs });
    for (const record of records) reader.take(record);
  }

  /** The records of what is stored, for the next run. To be called when no client is left. */
  historyRecords(): Generator<Uint8Array> {
    const { origins, topics, clock, timestamps } = this.#context;
    topics.sealAll();
    const own = { micros: timestamps.next() };
    return imageOf(this.#history, origins, clock, wholeBounds(origins), own);
  }

  async #stop(drainMs: number | undefined): Promise<void> {
    await this.retire(drainMs);
    await this.mesh?.close();
  }

  async #retire(drainMs: number | undefined): Promise<void> {
    const deadlineMs = performance.now() + STOP_DEADLINE_MS + (drainMs ?? 0);
    await this.drain();
    await this.#lameDuck.closeAll(drainMs);
    await this.#lameDuck.awaitGone(deadlineMs);
    this.#rejections.destroy();
    this.#shared?.held.destroy();
    while (this.counters.connections > 0) await this.#lameDuck.nextTurn();
    this.#ownPublisher?.end();
    this.#sweeper.stop();
    this.telemetry?.stop();
    this.#memory.stop();
    this.mesh?.sayGoodbye();
    await this.#lameDuck.awaitTaken();
  }
}
