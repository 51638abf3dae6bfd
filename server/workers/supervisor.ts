import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@logtape/logtape";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Address, Runtime, TlsIdentity } from "../../runtime/types.ts";
import type { AccessOptions } from "../access/access.ts";
import { Lender } from "../lending/lender.ts";
import { termsOf } from "../lending/terms.ts";
import { SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import { logClock } from "../log/log.ts";
import { UplinkHolder } from "../machines/nats/uplink_holder.ts";
import { CensusTaker } from "../shares/census_taker.ts";
import { Timekeeper } from "../timing/timekeeper.ts";
import { HistoryKeeper } from "./history_keeper.ts";
import { HostProgram } from "./host_program.ts";
import { LivenessMonitor } from "./liveness_monitor.ts";
import { stopWorkers } from "./stop_workers.ts";
import { GROUP_SIGNAL_MS, Succession } from "./succession.ts";
import { SupervisedSource } from "./supervised_source.ts";
import { type SupervisorPlan, WorkerLauncher } from "./worker_launcher.ts";
import type { WorkerProcess } from "./worker_process.ts";
import { WorkerSettings } from "./worker_settings.ts";

/** Runs a server in several processes that share the port, and starts a new one for each that dies. */
export class Supervisor {
  /** Resolves with the reason when it gives up, because no worker is left and none can be started. */
  readonly gaveUp: Promise<string>;
  readonly #plan: SupervisorPlan;
  readonly #logger: Logger;
  /** The workers' names in the log. A successor has its predecessor's name. */
  readonly #names: readonly string[];
  /** The workers that have a process. */
  readonly #workers = new Set<WorkerProcess>();
  readonly #launcher: WorkerLauncher;
  readonly #liveness: LivenessMonitor;
  /** Says which worker speaks with other machines; `undefined` without any. */
  readonly #uplinkHolder: UplinkHolder<WorkerProcess> | undefined;
  readonly #settings: WorkerSettings;
  readonly #succession: Succession;
  readonly #historyKeeper: HistoryKeeper;
  readonly #lender: Lender<WorkerProcess>;
  /** The source of its admin port. Without telemetry in the plan it has nothing to show. */
  readonly source: SupervisedSource;
  readonly #censusTaker = new CensusTaker<WorkerProcess>();
  /** Issues no timestamps. It knows where the workers' timestamps stand, for workers to come. */
  readonly #timekeeper = new Timekeeper();
  #program: HostProgram | undefined;
  #stopping: Promise<void> | undefined;
  #clockTimer: ReturnType<typeof setInterval> | undefined;

  constructor(runtime: Runtime, plan: SupervisorPlan, logger: Logger) {
    this.#plan = plan;
    this.#settings = new WorkerSettings({ tls: plan.tls, access: plan.access }, logger);
    this.#logger = logger;
    this.#names = Array.from({ length: plan.workers }, (_, index) => `worker-${index + 1}`);
    this.source = new SupervisedSource({
      runtime,
      limits: plan.totalLimits,
      metricsTopics: plan.telemetry?.topics ?? [],
      isClustered: plan.cluster !== null,
      names: this.#names,
      workers: this.#workers,
    });
    const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<string>();
    this.gaveUp = gaveUp;
    this.#lender = new Lender(runtime, termsOf(plan.limits), plan.workers);
    this.#uplinkHolder = plan.cluster === null ? undefined : new UplinkHolder({
      workers: this.#workers,
      nats: plan.cluster.nats,
      onFault: (worker, error) =>
        logger.error("{worker} can't speak with other machines: {cause}", {
          worker: worker.name,
          cause: error.message,
        }),
    });
    this.#historyKeeper = new HistoryKeeper(plan.historyFile, this.#uplinkHolder);
    this.#liveness = new LivenessMonitor(this.#workers, logger);
    this.#launcher = new WorkerLauncher({
      runtime,
      plan,
      settings: this.#settings,
      timekeeper: this.#timekeeper,
      workers: this.#workers,
      onFirst: (worker) => this.#historyKeeper.prepareFirst(worker),
      onServing: () => this.#uplinkHolder?.ensure(),
      events: {
        onSignal: (worker) => void this.#succession.replace(worker),
        onTraced: (trace, frames, skipped) => this.source.show(trace, frames, skipped),
        onAsked: (worker, asked, action, request) => {
          void this.#program?.decide(worker, asked, action, request);
        },
        onTelemetry: (worker, report) => this.source.take(worker, report),
        onCensus: (worker, census, asks) => this.#censusTaker.take(worker, census, asks),
        onOverdue: (overdue) => void this.#liveness.examine(overdue),
        onUnreachable: (reporter, process) => this.#liveness.separate(reporter, process),
        onClaims: (worker, claims) => this.#lender.take(worker, claims),
      },
    });
    this.#succession = new Succession({
      names: this.#names,
      workers: this.#workers,
      drainMs: plan.drainMs ?? 0,
      logger,
      start: (name) => this.#startWorker(name),
      open: (worker) => this.#launcher.open(worker),
      onLeaving: async (worker) => await this.#uplinkHolder?.replace(worker),
      onRestart: () => this.source.restarts++,
      onHopeless: giveUp,
    });
  }

  /**
   * Starts the workers.
   *
   * @returns The address on which they listen.
   * @throws {EnvironmentError} (rejects) if they can't be started, can't listen on the address, or are
   * stopped meanwhile.
   */
  async start(): Promise<Address> {
    this.#liveness.start();
    this.#clockTimer = setInterval(() => this.#followClock(), SWEEP_INTERVAL_MS);
    try {
      const started = await Promise.all(this.#names.map((name) => this.#startWorker(name)));
      for (const worker of started) await this.#launcher.open(worker);
      for (const worker of started) this.#succession.watch(worker);
    } catch (error) {
      // The signal that ended workers may be about to stop this process.
      await sleep(GROUP_SIGNAL_MS);
      await this.stop();
      throw new EnvironmentError((error as Error).message, { cause: error });
    }
    return this.#launcher.address as Address;
  }

  /** The address on which the workers listen for WebSockets; `undefined` if they don't. */
  get webSocketAddress(): Address | undefined {
    return this.#launcher.webSocketAddress;
  }

  /**
   * Uses another TLS identity from the next handshake on, also in workers to come. Resolves when all running
   * workers have it. Workers that don't answer, or can't use it yet, get it later.
   *
   * @param tls An identity that was tried by a handshake.
   */
  async renew(tls: TlsIdentity): Promise<void> {
    await this.#settings.renew(tls, this.#workers);
  }

  /** Uses other access rules, as `RunningServer.setAccess` does, also in workers to come. */
  async setAccess(access: AccessOptions): Promise<void> {
    await this.#settings.setAccess(access, this.#workers);
  }

  /**
   * Replaces the workers one after the other by what is on disk now, while the others serve; see
   * `RollingUpgrade.request`. The outcome is logged.
   */
  roll(): void {
    this.#succession.roll();
  }

  /** The program that embeds the server: what it publishes, decides and counts. */
  get program(): HostProgram {
    return this.#program ??= new HostProgram({
      limits: this.#plan.totalLimits,
      hooks: this.#plan.hooks ?? {},
      workers: this.#workers,
      onHookFailure: (action, error) => this.#plan.onHookFailure?.(action, error),
    });
  }

  /** To be called some time before {@linkcode stop}: signals to workers end them for good then. */
  prepareStop(): void {
    this.#succession.prepareStop();
  }

  /**
   * Stops all workers gracefully; resolves when they have ended, within 10 s and the drain. Idempotent.
   *
   * @param drainMs Milliseconds over which they close their connections; the plan's unless given.
   */
  stop(drainMs?: number): Promise<void> {
    return this.#stopping ??= this.#stop(drainMs);
  }

  async #stop(drainMs: number | undefined): Promise<void> {
    this.#program?.stop();
    this.#launcher.stop();
    this.#succession.stop();
    this.#liveness.stop();
    this.#uplinkHolder?.stop();
    clearInterval(this.#clockTimer);
    const keeper = this.#historyKeeper;
    const save = keeper.shouldSave ? (worker: WorkerProcess) => keeper.save(worker) : undefined;
    await stopWorkers([...this.#workers], this.#plan.drainMs ?? 0, this.#logger, drainMs, save);
    this.#lender.stop();
    this.#censusTaker.stop();
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  /** Starts a worker; it accepts no clients yet. */
  async #startWorker(name: string): Promise<WorkerProcess> {
    const worker = await this.#launcher.start(name);
    this.#lender.add(worker);
    this.#censusTaker.add(worker);
    worker.ended.then(() => {
      this.#lender.remove(worker);
      this.#censusTaker.remove(worker);
    });
    return worker;
  }

  #followClock(): void {
    const event = this.#timekeeper.follow();
    if (event !== undefined) logClock(this.#logger, event);
  }
}
