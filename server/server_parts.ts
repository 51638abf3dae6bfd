import { linkDescriptorsFor } from "../host/capacity.ts";
import { ClientDecoder } from "../protocol/client_decoder.ts";
import { TopicSpellings } from "../protocol/topic_spellings.ts";
import type { Runtime } from "../runtime/types.ts";
import { AcceptGate } from "./accept/accept_gate.ts";
import { Acceptor } from "./accept/acceptor.ts";
import { countGone } from "./accept/connection_count.ts";
import { seesDescriptors } from "./accept/descriptor_look.ts";
import { Listeners } from "./accept/listeners.ts";
import { Rejections } from "./accept/rejections.ts";
import { AccessRules } from "./access/access.ts";
import { ReplayThrottle } from "./access/replay_throttle.ts";
import { SlowKeys } from "./access/slow_keys.ts";
import { TokenSource } from "./access/token_source.ts";
import { Backplanes } from "./backplanes.ts";
import { type Counters, newCounters } from "./counters.ts";
import { TopicPermits } from "./embedding/topic_permits.ts";
import type { ServerEvents } from "./events.ts";
import { DueWrites } from "./flow/due_writes.ts";
import { FairReader } from "./flow/fair_reader.ts";
import { PublishThrottle } from "./flow/publish_throttle.ts";
import { History } from "./history/history.ts";
import { Origins } from "./history/origins.ts";
import { Tagging } from "./history/tagging.ts";
import { Places } from "./lending/places.ts";
import type { Limits } from "./limits.ts";
import { softPendingBytesOf } from "./limits/derived.ts";
import { MemoryDefence } from "./memory/memory_defence.ts";
import type { ServerOptions } from "./server_options.ts";
import { Replies } from "./session/replies.ts";
import type { Session } from "./session/session.ts";
import type { SessionContext } from "./session/session_context.ts";
import { SessionTable } from "./session/session_table.ts";
import { Sweeper } from "./session/sweeper.ts";
import { WebSocketSession } from "./session/websocket/web_socket_session.ts";
import { Discontinuity } from "./shutdown/discontinuity.ts";
import { LameDuck } from "./shutdown/lame_duck.ts";
import { PassRecorder } from "./telemetry/pass_recorder.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import type { Tracer } from "./telemetry/tracer.ts";
import { WatchedTopics } from "./telemetry/watched_topics.ts";
import { CoarseClock } from "./timing/coarse_clock.ts";
import { FairScheduler } from "./timing/fair_scheduler.ts";
import { Timekeeper } from "./timing/timekeeper.ts";
import { CatchUps } from "./topics/catch_ups.ts";
import { ReceiptDesk } from "./topics/receipt_desk.ts";
import { TopicRegistry } from "./topics/topic_registry.ts";

/** The sessions' context, with the members that the server changes while sessions live. */
interface ChangeableContext extends SessionContext {
  access: AccessRules;
  copies: boolean;
  tracer: Tracer | undefined;
}

/** The parts of a server, which its constructor makes and ties to each other. */
export class ServerParts {
  readonly counters: Counters = newCounters();
  readonly sessions = new SessionTable<Session>();
  readonly context: ChangeableContext;
  readonly memory: MemoryDefence;
  readonly history: History;
  readonly places: Places;
  readonly rejections: Rejections;
  readonly acceptGate: AcceptGate;
  readonly acceptor: Acceptor;
  readonly listeners: Listeners;
  readonly lameDuck: LameDuck;
  readonly backplanes: Backplanes;
  /** `undefined` unless asked for. */
  readonly telemetry: Telemetry | undefined;
  readonly #events: ServerEvents;
  readonly #timekeeper: Timekeeper;
  readonly #tagging: Tagging;
  readonly #sweeper: Sweeper;

  constructor(
    runtime: Runtime,
    limits: Limits,
    events: ServerEvents,
    options: ServerOptions,
  ) {
    const {
      readMs = () => performance.now(),
      timekeeper = new Timekeeper(),
      hasMesh = false,
      access = {},
      lending,
      descriptorLimit,
      telemetry,
      topicHooks,
    } = options;
    const { counters, sessions } = this;
    const { timestamps } = timekeeper;
    const processes = lending?.workers ?? 1;
    const scheduler = new FairScheduler(runtime);
    const clock = new CoarseClock(readMs());
    this.#events = events;
    this.#timekeeper = timekeeper;
    const memory = this.memory = new MemoryDefence({
      runtime,
      limits,
      sessions,
      counters,
      clock,
      readMs,
      onMemory: (event) => events.onMemory?.(event),
      giveUpHistory: (bytes) => history.giveUp(bytes),
    });
    const { budget } = memory;
    const origins = new Origins(timestamps.next());
    const history = this.history = new History({ limits, budget, clock, origins, counters });
    this.#tagging = new Tagging(budget, timestamps);
    const catchUps = new CatchUps(
      runtime,
      scheduler,
      counters,
      softPendingBytesOf(limits),
    );
    const reading = new FairReader(runtime, readMs);
    this.places = new Places({
      runtime,
      limits,
      clock,
      sessions,
      onHeldGone: (connection) => {
        countGone(counters, connection);
        counters.ended.connection_lost++;
      },
    }, lending);
    const { admission, displacement, holders, shared } = this.places;
    const tokens = new TokenSource();
    const dueWrites = new DueWrites(scheduler);
    const watched = telemetry && new WatchedTopics(telemetry.topics);
    const passes = watched &&
      new PassRecorder({ dueWrites, watched, epochMicros: () => timekeeper.micros });
    const topics = new TopicRegistry(
      {
        runtime,
        budget,
        scheduler,
        counters,
        passes,
        maxPendingBytes: limits.maxPendingBytes,
        softPendingBytes: softPendingBytesOf(limits),
        origins,
        history,
        tagging: this.#tagging,
        catchUps,
        hasOtherOrigins: hasMesh || options.cluster !== undefined,
      },
      limits.maxTopicsTotal,
      shared?.topicPlaces,
    );
    const throttle = new PublishThrottle(runtime, limits, clock);
    this.#sweeper = new Sweeper(sessions, scheduler, clock, readMs, () => counters.writes);
    const discontinuity = new Discontinuity(runtime, sessions);
    this.backplanes = new Backplanes({
      runtime,
      limits,
      clock,
      counters,
      memory,
      history,
      origins,
      topics,
      timekeeper,
      onHole: () => discontinuity.begin(),
      holeGate: () => discontinuity.gate,
      onNoDescriptor: () => this.acceptGate.makeWay(),
    }, options);
    this.rejections = new Rejections({ clock, timestamps, counters, events });
    this.acceptGate = new AcceptGate({
      sessions,
      held: shared?.held,
      rejections: this.rejections,
      displacement,
      processes,
      maxConnections: lending?.maxOwnConnections ?? limits.maxConnections,
      descriptorLimit,
      seesDescriptors: (count) => seesDescriptors(runtime, count),
    });
    const { acceptGate, rejections } = this;
    const { mesh, cluster } = this.backplanes;
    this.lameDuck = new LameDuck({
      runtime,
      counters,
      sessions,
      scheduler,
      reading,
      mesh,
      cluster,
    });
    const strictLimits = { ...limits, demandsTerminator: true };
    const spellings = new TopicSpellings();
    this.context = {
      copies: false,
      runtime,
      limits,
      clock,
      counters,
      budget,
      timestamps,
      origins,
      catchUps,
      replays: new ReplayThrottle(runtime, clock, processes),
      topics,
      budgetGate: memory.gate,
      reading,
      inputDefence: memory.input,
      ceiling: memory.ceiling,
      replies: new Replies(),
      dueWrites,
      receiptDesk: new ReceiptDesk({ runtime, budget, clock, scheduler }),
      throttle,
      access: new AccessRules(access),
      admission,
      displacement,
      borrower: shared?.borrower,
      slowKeys: new SlowKeys(clock, processes),
      topicSay: topicHooks && new TopicPermits(runtime, topicHooks, (action, error) => {
        events.onHookFailure?.(action, error);
      }),
      backplane: this.backplanes.all,
      watchedTopics: watched,
      tracer: undefined,
      newDecoder: (demandsTerminators) =>
        new ClientDecoder(demandsTerminators ? strictLimits : limits, memory.buffers, spellings),
      newToken: () => tokens.next(),
      onThrottled: (remoteAddress, remotePort) =>
        events.onThrottled?.(remoteAddress, remotePort, limits.publishRate),
      onEnding: (end) => {
        counters.ended[end.reason]++;
        this.telemetry?.noteEnd(end);
        events.onSessionEnd(end);
      },
      onGone: (session) => {
        sessions.remove(session);
        if (displacement.leave(session)) admission.leave(session.remoteAddress);
        else rejections.noteProgress();
        counters.connections--;
        if (session instanceof WebSocketSession) counters.webSocketConnections--;
      },
    };
    const { context } = this;
    this.acceptor = new Acceptor({
      counters,
      context,
      memory,
      admission,
      acceptGate,
      rejections,
      held: shared?.held,
      sessions,
      holders,
    });
    this.listeners = new Listeners({ runtime, counters, events, acceptGate });
    this.telemetry = passes && new Telemetry({
      counters,
      sessions,
      topics,
      scheduler,
      passes,
      watched: passes.watched,
      descriptorLimit,
      heldBytes: () => budget.heldBytes + budget.standingBytes,
      residentBytes: () => runtime.residentBytes,
      cluster: cluster && (() => cluster.report()),
      linkDescriptors: lending === undefined ? 0 : linkDescriptorsFor(lending.workers),
    });
  }

  /** Begins to act on deadlines, and to measure. */
  start(): void {
    this.#sweeper.start(() => this.#afterSweep());
    this.telemetry?.start();
  }

  stop(): void {
    this.#sweeper.stop();
    this.telemetry?.stop();
    this.memory.stop();
  }

  #afterSweep(): void {
    const { clock, replays, slowKeys, throttle } = this.context;
    const clockEvent = this.#timekeeper.follow();
    if (clockEvent !== undefined) this.#events.onClock?.(clockEvent);
    this.rejections.sweep(clock.nowMs);
    this.acceptGate.sweep();
    this.places.sweep();
    slowKeys.sweep();
    replays.sweep();
    this.history.sweep();
    this.#tagging.sweep();
    this.backplanes.sweep();
    throttle.gate.open();
    this.memory.sweep();
  }
}
