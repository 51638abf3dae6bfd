import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Address, Runtime, TlsIdentity } from "../../runtime/types.ts";
import type { TopicAction, TopicHooks } from "../embedding/topic_permits.ts";
import type { ClusterSetup } from "../cluster_setup.ts";
import { CONTROL_VERSION } from "./control.ts";
import type { Limits } from "../limits.ts";
import type { LogFormat } from "../log/format.ts";
import type { LogLevel } from "../log/log.ts";
import type { TelemetryOptions } from "../server_options.ts";
import { Slots } from "./pacing/slots.ts";
import type { Timekeeper } from "../timing/timekeeper.ts";
import { type Death, type WorkerEvents, WorkerProcess } from "./worker_process.ts";
import type { Settings, WorkerSettings } from "./worker_settings.ts";

/** The plan of a port for WebSockets. */
export interface WebSocketPlan {
  /** 0 lets the system choose. */
  readonly port: number;
  /** The pages that may connect; `null` for those of the same host. */
  readonly origins: readonly string[] | null;
}

/** The plan of what a supervisor starts. */
export interface SupervisorPlan extends Settings {
  readonly workers: number;
  readonly hostname: string;
  /** 0 lets the system choose; all workers share what it chose. */
  readonly port: number;
  /** The limits of all workers together. */
  readonly totalLimits: Limits;
  /** The port for WebSockets; `null` for none. */
  readonly webSocket: WebSocketPlan | null;
  /** The limits of each worker; those of connections, rates and topics hold for all together. */
  readonly limits: Limits;
  /** The connections that one worker's descriptors allow. */
  readonly maxOwnConnections: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Makes the workers report what they count; `null` without an admin port. */
  readonly telemetry: TelemetryOptions | null;
  /** The hooks of the program that embeds the server, and who hears of their failures. */
  readonly hooks?: TopicHooks | undefined;
  readonly onHookFailure?: ((action: TopicAction, error: unknown) => void) | undefined;
  /** Milliseconds over which workers close their connections when they stop; see `Order`. */
  readonly drainMs: number | null;
  /** The file in which stored messages outlast a graceful stop; `null` for none. */
  readonly historyFile: string | null;
  /** The cluster that the server is part of; `null` for none. */
  readonly cluster: ClusterSetup | null;
}

const ACTIONS = ["publish", "subscribe"] as const satisfies readonly TopicAction[];

/** Workers that may start at once on a machine with few processors: one of these may wait for its disk. */
const LEAST_STARTS_AT_ONCE = 4;

/**
 * The number of workers that may start at once. More would take each other's time, which is limited.
 *
 * @param processors How many the machine has.
 */
export function startsAtOnce(processors: number): number {
  return Math.max(LEAST_STARTS_AT_ONCE, processors);
}

/**
 * Milliseconds that a new worker has to be ready. Others may start with it, on few cores, and more serve.
 *
 * @param workers How many the server has.
 */
export function startPatienceMs(workers: number): number {
  return 10_000 + 1_000 * workers;
}

/** The death of a worker that was asked to end, and had the time for it. */
const CLEAN_DEATH: Death = "with status 0";

/** By so much the clocks of two processes may differ, in microseconds. */
const CLOCK_MARGIN_MICROS = 1_000_000;

/** The parts of the supervisor that {@linkcode WorkerLauncher} uses. */
export interface LauncherHost {
  readonly runtime: Runtime;
  readonly plan: SupervisorPlan;
  readonly settings: WorkerSettings;
  /** Knows where the workers' timestamps stand. */
  readonly timekeeper: Timekeeper;
  /** The workers that have a process. The launcher keeps it up to date. */
  readonly workers: Set<WorkerProcess>;
  readonly events: WorkerEvents;
  /** Called before a worker accepts clients from which no other worker's history could be copied. */
  onFirst(worker: WorkerProcess): Promise<void>;
  /** Called when a worker serves. */
  onServing(worker: WorkerProcess): void;
}

/** Brings workers up: starts their processes, links them with all others, and lets them listen. */
export class WorkerLauncher {
  readonly #host: LauncherHost;
  /** The prefix of the workers' socket names. A NUL in front makes a name that is no file. */
  readonly #socketPrefix = `\0hotwheels-${randomBytes(16).toString("hex")}-`;
  readonly #secret = randomBytes(32).toString("hex");
  readonly #starting = new Slots(startsAtOnce(availableParallelism()));
  #lastListen: Promise<void> = Promise.resolve();
  #address: Address | undefined;
  #webSocketAddress: Address | undefined;
  #isStopped = false;

  constructor(host: LauncherHost) {
    this.#host = host;
  }

  /** The address on which the workers listen, once one does. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** The address on which they listen for WebSockets, once one does; `undefined` if they don't. */
  get webSocketAddress(): Address | undefined {
    return this.#webSocketAddress;
  }

  /** Starts no more workers. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Starts a worker, when not too many others start; it accepts no clients yet.
   *
   * @throws {Error} (rejects) if it doesn't come up.
   */
  start(name: string): Promise<WorkerProcess> {
    return this.#starting.run(() => this.#start(name));
  }

  async #start(name: string): Promise<WorkerProcess> {
    const { runtime, events, plan } = this.#host;
    for (;;) {
      if (this.#isStopped) throw new Error("the server is being stopped");
      const worker = await WorkerProcess.spawn(runtime, name, this.#socketPrefix, events);
      this.#enter(worker);
      const patienceMs = startPatienceMs(plan.workers);
      let isLate = false;
      const patience = setTimeout(() => {
        isLate = true;
        worker.kill();
      }, patienceMs);
      try {
        // The server began to stop while this process started.
        if (this.#isStopped) throw new Error("the server is being stopped");
        await this.#begin(worker);
        return worker;
      } catch (error) {
        worker.kill();
        const death = await worker.ended;
        if (isLate) throw new Error(`${name} wasn't ready within ${patienceMs / 1000} s`);
        // Before its program runs, these signals end a process, although they are meant to end none.
        const isHarmless = death === "by SIGHUP" || death === "by SIGUSR2";
        if (!isHarmless || this.#isStopped) throw error;
      } finally {
        clearTimeout(patience);
      }
    }
  }

  /**
   * Links a worker with all others, both ways, then lets it accept clients.
   *
   * @throws {Error} (rejects) if it ends, or can't listen.
   */
  async open(worker: WorkerProcess): Promise<void> {
    // A worker that is starting is linked when it is opened itself.
    const others = this.#linkable.filter((other) => other !== worker);
    await Promise.all(others.map((other) => this.#link(worker, other)));
    await this.#copyHistory(worker);
    const { settings } = this.#host;
    const { current } = settings;
    await this.#inTurn(() => this.#listen(worker, current));
    // The settings may have changed before it listened.
    await settings.catchUp(worker, current);
  }

  #enter(worker: WorkerProcess): void {
    const { workers, timekeeper } = this.#host;
    workers.add(worker);
    worker.ended.then((death) => {
      workers.delete(worker);
      const micros = timekeeper.timestamps.next() + CLOCK_MARGIN_MICROS;
      const end = { isClean: death === CLEAN_DEATH, micros };
      for (const other of this.#linkable) {
        other.order({ do: "unlink", socketPath: worker.socketPath, end }).catch(() => {});
      }
    });
  }

  /** Lets a worker copy the history of another one, or of another machine, if one has clients already. */
  async #copyHistory(worker: WorkerProcess): Promise<void> {
    const tried = new Set<WorkerProcess>([worker]);
    for (;;) {
      const other = [...this.#host.workers].find((one) => one.isListening && !tried.has(one));
      if (other === undefined) return await this.#host.onFirst(worker);
      tried.add(other);
      try {
        await worker.order({ do: "copy_history", socketPath: other.socketPath });
        return;
      } catch (error) {
        // The other one may have ended meanwhile; there may be a third.
        if (worker.hasEnded) throw error;
      }
    }
  }

  async #begin(worker: WorkerProcess): Promise<void> {
    const { plan, timekeeper } = this.#host;
    const { limits, workers, maxOwnConnections, logLevel, logFormat, telemetry, drainMs } = plan;
    const { name, socketPath } = worker;
    await worker.order({
      do: "start",
      version: CONTROL_VERSION,
      name,
      socketPath,
      secret: this.#secret,
      limits,
      workers,
      maxOwnConnections,
      logLevel,
      logFormat,
      telemetry,
      asksFor: ACTIONS.filter((action) => plan.hooks?.[action] !== undefined),
      drainMs,
      timestampsAfter: timekeeper.timestamps.next(),
      cluster: plan.cluster?.settings ?? null,
    });
    if (worker.phase === "starting") worker.phase = "linking";
  }

  /** Lets workers begin to listen one after the other. */
  #inTurn(listen: () => Promise<void>): Promise<void> {
    return this.#lastListen = this.#lastListen.catch(() => {}).then(listen);
  }

  /** Lets a worker accept clients. The first one finds out whether the address is free. */
  async #listen(worker: WorkerProcess, { tls, access }: Settings): Promise<void> {
    const { plan, workers } = this.#host;
    if (worker.phase === "leaving") throw new Error("it was asked to end");
    // A host name is looked up once, so that all workers get the same address.
    const { hostname, port } = this.#address?.transport === "tcp" ? this.#address : plan;
    const isFirst = ![...workers].some(({ isListening }) => isListening);
    const order = { do: "listen", hostname, port, isFirst, tls, access } as const;
    this.#address = await worker.order(order) ?? undefined;
    if (plan.webSocket !== null) await this.#listenForWebSockets(worker, plan.webSocket, order);
    worker.isListening = true;
    worker.servingSinceMs = performance.now();
    if (worker.phase === "linking") worker.phase = "serving";
    this.#host.onServing(worker);
  }

  async #listenForWebSockets(
    worker: WorkerProcess,
    { port, origins }: WebSocketPlan,
    { isFirst, tls }: { readonly isFirst: boolean; readonly tls: TlsIdentity | null },
  ): Promise<void> {
    const place = [this.#webSocketAddress, this.#address].find((one) => one?.transport === "tcp");
    this.#webSocketAddress = await worker.order({
      do: "listen_for_web_sockets",
      hostname: place?.transport === "tcp" ? place.hostname : this.#host.plan.hostname,
      port: this.#webSocketAddress?.transport === "tcp" ? this.#webSocketAddress.port : port,
      isFirst,
      tls,
      origins,
    }) ?? undefined;
  }

  /** The workers that listen for other workers. */
  get #linkable(): WorkerProcess[] {
    return [...this.#host.workers].filter(({ phase }) => phase !== "starting");
  }

  /** Links two workers both ways. Resolves when both links stand, or when `other` has ended. */
  async #link(worker: WorkerProcess, other: WorkerProcess): Promise<void> {
    try {
      await Promise.all([
        other.order({ do: "link", socketPath: worker.socketPath }),
        worker.order({ do: "link", socketPath: other.socketPath }),
      ]);
    } catch (error) {
      // A worker that is about to end can't be linked.
      await Promise.race([worker.ended, other.ended]);
      if (worker.hasEnded) throw error;
    }
  }
}
