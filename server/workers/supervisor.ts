import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@logtape/logtape";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Address, Runtime, TlsIdentity } from "../../runtime/types.ts";
import type { AccessOptions } from "../access/access.ts";
import { Lender } from "../lending/lender.ts";
import { termsOf } from "../lending/terms.ts";
import { SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import { HostProgram } from "./host_program.ts";
import { LivenessMonitor } from "./liveness_monitor.ts";
import { WayHolder } from "../machines/nats/way_holder.ts";
import { logJoined } from "../cluster_setup.ts";
import { logClock, logHistoryFile } from "../log/log.ts";
import { type SavedHistory, takeHistoryFile, writeHistoryFile } from "../history/history_file.ts";
import { nextPiece, recordsOf } from "./history_pieces.ts";
import { RestartSchedule } from "./restart_schedule.ts";
import { RollingUpgrade } from "./rolling_upgrade.ts";
import { CensusTaker } from "../shares/census_taker.ts";
import { STOP_PATIENCE_MS, stopWorkers, TAKING_PATIENCE_MS } from "./stop_workers.ts";
import { SupervisedSource } from "./supervised_source.ts";
import { Timekeeper } from "../timing/timekeeper.ts";
import { type SupervisorPlan, WorkerLauncher } from "./worker_launcher.ts";
import type { WorkerProcess } from "./worker_process.ts";
import { WorkerSettings } from "./worker_settings.ts";
import { TEXT } from "../log/format.ts";

/** Milliseconds within which a signal to the process group reaches workers and supervisor alike. */
const GROUP_SIGNAL_MS = 100;

/** Milliseconds between two checks whether a worker that is starting serves, so that it can be replaced. */
const LOOK_MS = 50;

/** Milliseconds for which a successor must serve before its predecessor is asked to end. */
const PROOF_MS = 1_000;

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
  readonly #wayHolder: WayHolder<WorkerProcess> | undefined;
  readonly #settings: WorkerSettings;
  readonly #restarts = new RestartSchedule();
  readonly #upgrade: RollingUpgrade<WorkerProcess>;
  /** The worker that a roll replaces, from before its successor starts until it is gone. */
  #succeeded: WorkerProcess | undefined;
  readonly #lender: Lender<WorkerProcess>;
  /** The source of its admin port. Without telemetry in the plan it has nothing to show. */
  readonly source: SupervisedSource;
  /** True once signals to workers mean that all shall stop. */
  #isAboutToStop = false;
  readonly #censusTaker = new CensusTaker<WorkerProcess>();
  /** Issues no timestamps. It knows where the workers' timestamps stand, for workers to come. */
  readonly #timekeeper = new Timekeeper();
  #program: HostProgram | undefined;
  #giveUp: (reason: string) => void = () => {};
  #stopping: Promise<void> | undefined;
  /** True once what an earlier run has left is with a worker: only then may the file be written anew. */
  #hasRestored = false;
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
    this.gaveUp = new Promise((resolve) => this.#giveUp = resolve);
    this.#lender = new Lender(runtime, termsOf(plan.limits), plan.workers);
    this.#wayHolder = plan.cluster === null ? undefined : new WayHolder({
      workers: this.#workers,
      nats: plan.cluster.nats,
      onFault: (worker, error) =>
        logger.error("{worker} can't speak with other machines: {cause}", {
          worker: worker.name,
          cause: error.message,
        }),
    });
    this.#liveness = new LivenessMonitor(this.#workers, logger);
    this.#launcher = new WorkerLauncher({
      runtime,
      plan,
      settings: this.#settings,
      timekeeper: this.#timekeeper,
      workers: this.#workers,
      onFirst: (worker) => this.#prepareFirst(worker),
      onServing: () => this.#wayHolder?.ensure(),
      events: {
        onSignal: (worker) => void this.#replace(worker),
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
    this.#upgrade = new RollingUpgrade({
      workers: this.#workers,
      succeed: (predecessor) => this.#succeed(predecessor),
      retire: (predecessor) => this.#retire(predecessor),
    }, logger);
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
      for (const worker of started) this.#watch(worker);
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
   * {@linkcode RollingUpgrade.request}. The outcome is logged.
   */
  roll(): void {
    this.#upgrade.request();
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

  /** To be called some time before {@linkcode stop}: a signal to a worker is no wish for a new one then. */
  prepareStop(): void {
    this.#isAboutToStop = true;
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
    this.#upgrade.stop();
    this.#liveness.stop();
    this.#wayHolder?.stop();
    clearInterval(this.#clockTimer);
    const { historyFile, drainMs: planned } = this.#plan;
    const save = historyFile === null || !this.#hasRestored
      ? undefined
      : (worker: WorkerProcess) => this.#saveHistory(worker, historyFile);
    await stopWorkers([...this.#workers], planned ?? 0, this.#logger, drainMs, save);
    this.#lender.stop();
    this.#censusTaker.stop();
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  /** Gives a worker without others the history of another machine, or what an earlier run has left. */
  async #prepareFirst(worker: WorkerProcess): Promise<void> {
    const joined = await this.#wayHolder?.begin(worker);
    if (joined !== undefined) logJoined(joined);
    if (this.#hasRestored) return;
    if (joined?.what === "copied") this.#hasRestored = true;
    else await this.#restoreHistory(worker);
  }

  /** Gives the first worker what an earlier run has left; the others copy it from there. */
  async #restoreHistory(worker: WorkerProcess): Promise<void> {
    const { historyFile } = this.#plan;
    this.#hasRestored = true;
    if (historyFile === null) return;
    let saved: SavedHistory | undefined;
    try {
      saved = takeHistoryFile(historyFile);
    } catch (error) {
      return logHistoryFile(historyFile, "read", error as Error);
    }
    if (saved === undefined) return;
    const { ageMs } = saved;
    const records = saved.records.values();
    for (let hasMore = true; hasMore;) {
      const piece = nextPiece(records);
      await worker.order({ do: "restore_history", piece, ageMs });
      ({ hasMore } = piece);
    }
  }

  async #saveHistory(worker: WorkerProcess, historyFile: string): Promise<void> {
    try {
      const records: Uint8Array[] = [];
      for (let hasMore = true; hasMore;) {
        const piece = await worker.savedPiece();
        if (piece !== null) records.push(...recordsOf(piece));
        hasMore = piece?.hasMore ?? false;
      }
      writeHistoryFile(historyFile, records);
    } catch (error) {
      logHistoryFile(historyFile, "written", error as Error);
    }
  }

  get #isStopping(): boolean {
    return this.#stopping !== undefined;
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

  #watch(worker: WorkerProcess): void {
    worker.ended.then((death) => {
      if (this.#isStopping || this.#succeeded === worker) return;
      if (worker.phase === "leaving") void this.#join(worker.name);
      else void this.#restart(worker.name, `ended ${death}`, worker.servedMs);
    });
  }

  /**
   * Starts a new worker after a wait. The others serve on, whatever becomes of it.
   *
   * @param what Says in the log how the last one ended.
   * @param servedMs Milliseconds for which the last one has served.
   */
  async #restart(name: string, what: string, servedMs: number): Promise<void> {
    const waitMs = this.#restarts.noteDeath(name, servedMs);
    this.source.restarts++;
    if (this.#workers.size === 0 && this.#restarts.isHopeless(this.#names)) {
      this.#giveUp(`no worker is left and none can be started, the last one, ${name}, ${what}`);
      return;
    }
    const serving = [...this.#workers].filter(({ phase }) => phase === "serving").length;
    this.#logger.error(
      "{worker} {text.what}; {left} of {all} left; a new one starts in {wait_ms} ms",
      {
        worker: name,
        left: serving,
        all: this.#names.length,
        wait_ms: waitMs,
        [TEXT]: { what },
      },
    );
    await sleep(waitMs);
    if (!this.#isStopping) void this.#join(name);
  }

  /** Starts a worker in the place of one that has gone. */
  async #join(name: string): Promise<void> {
    let worker: WorkerProcess | undefined;
    try {
      worker = await this.#startWorker(name);
      await this.#launcher.open(worker);
      this.#watch(worker);
      this.#logger.info("{worker} has joined (pid {pid})", { worker: name, pid: worker.pid });
    } catch (error) {
      worker?.kill();
      await worker?.ended;
      const { message } = error as Error;
      if (!this.#isStopping) void this.#restart(name, `can't be started: ${message}`, 0);
    }
  }

  /** Ends one worker gracefully, because it got a signal, and lets a new one take its place. */
  async #replace(worker: WorkerProcess): Promise<void> {
    await sleep(GROUP_SIGNAL_MS);
    if (this.#isAboutToStop || this.#isStopping || worker.phase === "leaving") return;
    this.#logger.info("{worker} was asked to end; a new one follows", { worker: worker.name });
    await this.#end(worker);
  }

  /** Ends a worker gracefully, while the others go on. */
  async #end(worker: WorkerProcess): Promise<void> {
    worker.phase = "leaving";
    await this.#wayHolder?.replace(worker);
    await worker.order({ do: "drain" }).catch(() => {});
    worker.isListening = false;
    await worker.order({ do: "stop" }).catch(() => {});
  }

  /** See `RollHost.succeed`. */
  async #succeed(predecessor: WorkerProcess): Promise<WorkerProcess | undefined> {
    const isGoing = () => {
      return predecessor.hasEnded || predecessor.phase === "leaving" || this.#isStopping;
    };
    while (predecessor.phase !== "serving" && !isGoing()) await sleep(LOOK_MS);
    if (isGoing()) return undefined;
    this.#succeeded = predecessor;
    const { name } = predecessor;
    let worker: WorkerProcess | undefined;
    try {
      worker = await this.#startWorker(name);
      await this.#launcher.open(worker);
      await this.#prove(worker);
      this.#watch(worker);
      return worker;
    } catch (error) {
      worker?.kill();
      // The predecessor may have ended meanwhile, and this was its only successor.
      const death = predecessor.hasEnded ? await predecessor.ended : undefined;
      this.#succeeded = undefined;
      if (death !== undefined && !this.#isStopping) {
        if (predecessor.phase === "leaving") void this.#join(name);
        else void this.#restart(name, `ended ${death}`, predecessor.servedMs);
      }
      throw error;
    }
  }

  /** Waits for {@linkcode PROOF_MS}. @throws {Error} (rejects) if the worker ends before. */
  async #prove(worker: WorkerProcess): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const proof = new Promise<void>((resolve) => timer = setTimeout(resolve, PROOF_MS));
    const death = await Promise.race([proof, worker.ended]);
    clearTimeout(timer);
    if (death !== undefined) throw new Error(`it ended ${death} when it had just begun to serve`);
  }

  /** See `RollHost.retire`. */
  async #retire(predecessor: WorkerProcess): Promise<void> {
    const patienceMs = STOP_PATIENCE_MS + (this.#plan.drainMs ?? 0) + TAKING_PATIENCE_MS;
    const patience = setTimeout(() => predecessor.kill(), patienceMs);
    await this.#end(predecessor);
    await predecessor.ended;
    clearTimeout(patience);
    this.#succeeded = undefined;
  }

  #followClock(): void {
    const event = this.#timekeeper.follow();
    if (event !== undefined) logClock(this.#logger, event);
  }
}
