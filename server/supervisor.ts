import type { Logger } from "@logtape/logtape";
import { randomBytes } from "node:crypto";
import { EnvironmentError } from "../runtime/command_line.ts";
import type { Address, Runtime, TlsIdentity } from "../runtime/types.ts";
import type { AccessOptions } from "./access.ts";
import type { OverdueProcess, UnreachableProcess } from "./backplane.ts";
import { CONTROL_VERSION } from "./control.ts";
import { Lender } from "./lending/lender.ts";
import { termsOf } from "./lending/terms.ts";
import { type Limits, SWEEP_INTERVAL_MS } from "./limits.ts";
import { logClock, type LogLevel } from "./log.ts";
import { RestartSchedule } from "./restart_schedule.ts";
import { RollingUpgrade } from "./rolling_upgrade.ts";
import { CensusTaker } from "./shares/census_taker.ts";
import { STOP_PATIENCE_MS, stopWorkers } from "./stop_workers.ts";
import { Timekeeper } from "./timekeeper.ts";
import { WorkerProcess } from "./worker_process.ts";
import { type Settings, WorkerSettings } from "./worker_settings.ts";

/** What a supervisor starts. */
export interface SupervisorPlan extends Settings {
  readonly workers: number;
  readonly hostname: string;
  /** 0 lets the system choose; all workers share what it chose. */
  readonly port: number;
  /** The limits of each worker; those of connections, rates and topics hold for all together. */
  readonly limits: Limits;
  /** Connections that one worker's descriptors are enough for. */
  readonly maxOwnConnections: number;
  readonly logLevel: LogLevel;
  /** Milliseconds over which workers close their connections when they stop; see `Order`. */
  readonly drainMs: number | null;
}

/** How often a worker is asked for a sign of life, and how long it may take to give one. */
const PING_INTERVAL_MS = 2_000;
const PING_DEADLINE_MS = 10_000;

/** The same where others wait for it, to which it has given none for a second. */
const EXAMINATION_MS = 2_000;

/** A signal to the whole process group reaches workers and their supervisor within this time. */
const GROUP_SIGNAL_MS = 100;

/** How often a roll looks whether a worker that has just been started is ready to be replaced. */
const LOOK_MS = 50;

/** How long a successor has to serve before its predecessor is asked to end. */
const PROOF_MS = 1_000;

/**
 * How long a new worker may take to be ready. All may start at once, on few cores.
 *
 * @param workers How many the server has.
 */
export function startPatienceMs(workers: number): number {
  return 10_000 + 1_000 * workers;
}

/**
 * Runs a server in several processes that share the port, and starts a new one for each that dies.
 */
export class Supervisor {
  /** Resolves with the reason when it has given up, because no worker is left and none can be started. */
  readonly gaveUp: Promise<string>;
  readonly #runtime: Runtime;
  readonly #plan: SupervisorPlan;
  readonly #logger: Logger;
  /** The workers' names in the log, each its successors' too. */
  readonly #names: readonly string[];
  /** Begins the names of the workers' sockets. A NUL in front makes a name that is no file. */
  readonly #socketPrefix = `\0hotwheels-${randomBytes(16).toString("hex")}-`;
  readonly #secret = randomBytes(32).toString("hex");
  /** Those that have a process. */
  readonly #workers = new Set<WorkerProcess>();
  /** Those of them that listen for clients. */
  readonly #listening = new Set<WorkerProcess>();
  #lastListen: Promise<void> = Promise.resolve();
  /** Workers that are asked just now whether they only are busy. */
  readonly #examined = new Set<WorkerProcess>();
  readonly #settings: WorkerSettings;
  readonly #restarts = new RestartSchedule();
  readonly #upgrade: RollingUpgrade<WorkerProcess>;
  /** The worker whose place a successor takes, from before that starts until the worker is gone. */
  #succeeded: WorkerProcess | undefined;
  /** Workers that are ended since others can't be linked with them. */
  readonly #separated = new WeakSet<WorkerProcess>();
  readonly #lender: Lender<WorkerProcess>;
  readonly #censusTaker = new CensusTaker<WorkerProcess>();
  /** Issues nothing: it knows where the workers' timestamps stand, for those to come. */
  readonly #timekeeper = new Timekeeper();
  #giveUp: (reason: string) => void = () => {};
  #address: Address | undefined;
  #stopping: Promise<void> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #clockTimer: ReturnType<typeof setInterval> | undefined;

  constructor(runtime: Runtime, plan: SupervisorPlan, logger: Logger) {
    this.#runtime = runtime;
    this.#plan = plan;
    this.#settings = new WorkerSettings({ tls: plan.tls, access: plan.access }, logger);
    this.#logger = logger;
    this.#names = Array.from({ length: plan.workers }, (_, index) => `worker-${index + 1}`);
    this.gaveUp = new Promise((resolve) => this.#giveUp = resolve);
    this.#lender = new Lender(runtime, termsOf(plan.limits), plan.workers);
    this.#upgrade = new RollingUpgrade({
      workers: this.#workers,
      succeed: (predecessor) => this.#succeed(predecessor),
      retire: (predecessor) => this.#retire(predecessor),
    }, logger);
  }

  /**
   * Starts the workers.
   *
   * @returns Where they listen.
   * @throws {EnvironmentError} (rejects) when they can't be started or the address can't be had, or when
   * it's stopped meanwhile.
   */
  async start(): Promise<Address> {
    this.#pingTimer = setInterval(() => this.#pingAll(), PING_INTERVAL_MS);
    this.#clockTimer = setInterval(() => this.#followClock(), SWEEP_INTERVAL_MS);
    try {
      const started = await Promise.all(this.#names.map((name) => this.#startWorker(name)));
      for (const worker of started) await this.#open(worker);
      for (const worker of started) this.#watch(worker);
    } catch (error) {
      // What ended workers may be about to stop us.
      await sleep(GROUP_SIGNAL_MS);
      await this.stop();
      throw new EnvironmentError((error as Error).message, { cause: error });
    }
    return this.#address as Address;
  }

  /**
   * Uses another TLS identity from the next handshake on, in workers to come too. Resolves when all that
   * run have it; those that don't answer, or can't follow, get it later.
   *
   * @param tls One that was tried.
   */
  async renew(tls: TlsIdentity): Promise<void> {
    await this.#settings.renew(tls, this.#workers);
  }

  /** Uses other rules of who may do what, as `RunningServer.setAccess` does, in workers to come too. */
  async setAccess(access: AccessOptions): Promise<void> {
    await this.#settings.setAccess(access, this.#workers);
  }

  /**
   * Replaces the workers one after the other by what is on disk now, while the others serve; see
   * {@linkcode RollingUpgrade.request}. What comes of it is logged.
   */
  roll(): void {
    this.#upgrade.request();
  }

  /**
   * Stops all workers gracefully; resolves when they have ended, within 10 s and the plan's drain.
   * Idempotent.
   */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#upgrade.stop();
    clearInterval(this.#pingTimer);
    clearInterval(this.#clockTimer);
    await stopWorkers([...this.#workers], this.#plan.drainMs ?? 0);
    this.#lender.stop();
    this.#censusTaker.stop();
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  get #isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  /** Starts a worker; it accepts no clients yet. */
  async #startWorker(name: string): Promise<WorkerProcess> {
    const { limits, workers, maxOwnConnections, logLevel, drainMs } = this.#plan;
    for (;;) {
      const worker = await WorkerProcess.spawn(this.#runtime, name, this.#socketPrefix, {
        onSignal: (signalled) => void this.#replace(signalled),
        onCensus: (worker, census, asks) => this.#censusTaker.take(worker, census, asks),
        onOverdue: (overdue) => void this.#examine(overdue),
        onUnreachable: (reporter, process) => this.#separate(reporter, process),
        onClaims: (claimant, claims) => this.#lender.take(claimant, claims),
      });
      this.#workers.add(worker);
      worker.ended.then(() => {
        this.#workers.delete(worker);
        this.#listening.delete(worker);
        for (const other of this.#linkable) {
          other.order({ do: "unlink", socketPath: worker.socketPath }).catch(() => {});
        }
        this.#lender.remove(worker);
        this.#censusTaker.remove(worker);
      });
      const patienceMs = startPatienceMs(workers);
      let isLate = false;
      const patience = setTimeout(() => {
        isLate = true;
        worker.kill();
      }, patienceMs);
      try {
        // It came to be while the others were asked to end.
        if (this.#isStopping) throw new Error("the server is being stopped");
        const { socketPath } = worker;
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
          drainMs,
          timestampsAfter: this.#timekeeper.timestamps.next(),
        });
        worker.phase = "linking";
        this.#lender.add(worker);
        this.#censusTaker.add(worker);
        return worker;
      } catch (error) {
        worker.kill();
        const death = await worker.ended;
        if (isLate) throw new Error(`${name} wasn't ready within ${patienceMs / 1000} s`);
        // A process can't help signals before its program runs, and these are meant to end nobody.
        const isHarmless = death === "by SIGHUP" || death === "by SIGUSR2";
        if (!isHarmless || this.#isStopping) throw error;
      } finally {
        clearTimeout(patience);
      }
    }
  }

  /** Links a worker with all others, both ways, then lets it accept clients. */
  async #open(worker: WorkerProcess): Promise<void> {
    // One that starts is linked when it's opened itself.
    const others = this.#linkable.filter((other) => other !== worker);
    await Promise.all(others.map((other) => this.#link(worker, other)));
    const { current } = this.#settings;
    await this.#inTurn(() => this.#listen(worker, current));
    // It may have been told of a change before it could use that.
    await this.#settings.catchUp(worker, current);
  }

  /** Lets one worker after the other begin to listen. */
  #inTurn(listen: () => Promise<void>): Promise<void> {
    return this.#lastListen = this.#lastListen.catch(() => {}).then(listen);
  }

  /** Lets a worker accept clients; the first one finds out whether the address is to be had. */
  async #listen(worker: WorkerProcess, { tls, access }: Settings): Promise<void> {
    // A name is looked up once: workers to come need no answer, and get no other.
    const { hostname, port } = this.#address?.transport === "tcp" ? this.#address : this.#plan;
    const isFirst = this.#listening.size === 0;
    const order = { do: "listen", hostname, port, isFirst, tls, access } as const;
    this.#address = await worker.order(order) ?? undefined;
    this.#listening.add(worker);
    worker.servingSinceMs = performance.now();
    if (worker.phase === "linking") worker.phase = "serving";
  }

  /** The workers that listen for the others. */
  get #linkable(): WorkerProcess[] {
    return [...this.#workers].filter(({ phase }) => phase !== "starting");
  }

  /** Links two workers both ways. Resolves when both links stand, or when one is not needed any more. */
  async #link(worker: WorkerProcess, other: WorkerProcess): Promise<void> {
    try {
      await Promise.all([
        other.order({ do: "link", socketPath: worker.socketPath }),
        worker.order({ do: "link", socketPath: other.socketPath }),
      ]);
    } catch (error) {
      // One that is about to end can't be linked with, nor be told to.
      await Promise.race([worker.ended, other.ended]);
      if (worker.hasEnded) throw error;
    }
  }

  /** Ends one of two workers between which no link can be made. */
  #separate(reporter: WorkerProcess, process: UnreachableProcess): void {
    const { path, isOwnFault, downMs, cause } = process;
    const other = this.#linkable.find(({ socketPath }) => socketPath === path);
    // The other one says the same of this one.
    if (other === undefined || this.#separated.has(reporter) || this.#separated.has(other)) return;
    const ended = isOwnFault ? reporter : other;
    this.#separated.add(ended);
    this.#logger.error(
      "{name} has had no link to {other} for {seconds} s ({cause}); {ended} is ended",
      {
        name: reporter.name,
        other: other.name,
        seconds: (downMs / 1000).toFixed(1),
        cause,
        ended: ended.name,
      },
    );
    ended.kill();
  }

  #watch(worker: WorkerProcess): void {
    worker.ended.then((death) => {
      if (this.#isStopping || this.#succeeded === worker) return;
      if (worker.phase === "leaving") void this.#join(worker.name);
      else void this.#restart(worker.name, `ended ${death}`, worker.servedMs);
    });
  }

  /**
   * Starts a new worker in a while. The others serve on, whatever becomes of it.
   *
   * @param what What has become of the last one.
   * @param servedMs How long that has served.
   */
  async #restart(name: string, what: string, servedMs: number): Promise<void> {
    const waitMs = this.#restarts.noteDeath(name, servedMs);
    if (this.#workers.size === 0 && this.#restarts.isHopeless(this.#names)) {
      this.#giveUp(`no worker is left and none can be started, the last one, ${name}, ${what}`);
      return;
    }
    const serving = [...this.#workers].filter(({ phase }) => phase === "serving").length;
    this.#logger.error("{name} {what}; {left} left; a new one starts in {waitMs} ms", {
      name,
      what,
      left: `${serving} of ${this.#names.length}`,
      waitMs,
    });
    await sleep(waitMs);
    if (!this.#isStopping) void this.#join(name);
  }

  /** Starts a worker in the place of one that has gone. */
  async #join(name: string): Promise<void> {
    let worker: WorkerProcess | undefined;
    try {
      worker = await this.#startWorker(name);
      await this.#open(worker);
      this.#watch(worker);
      this.#logger.info("{name} has joined (pid {pid})", { name, pid: worker.pid });
    } catch (error) {
      worker?.kill();
      await worker?.ended;
      const { message } = error as Error;
      if (!this.#isStopping) void this.#restart(name, `can't be started: ${message}`, 0);
    }
  }

  /** Somebody signalled one worker: it ends gracefully, and a new one takes its place. */
  async #replace(worker: WorkerProcess): Promise<void> {
    await sleep(GROUP_SIGNAL_MS);
    if (this.#isStopping || worker.phase === "leaving") return;
    this.#logger.info("{name} was asked to end; a new one follows", { name: worker.name });
    await this.#end(worker);
  }

  /** Lets a worker end gracefully, while the others go on. */
  async #end(worker: WorkerProcess): Promise<void> {
    worker.phase = "leaving";
    await worker.order({ do: "drain" }).catch(() => {});
    this.#listening.delete(worker);
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
      await this.#open(worker);
      await this.#prove(worker);
      this.#watch(worker);
      return worker;
    } catch (error) {
      worker?.kill();
      // It may have ended meanwhile, when it had no successor but this one.
      const death = predecessor.hasEnded ? await predecessor.ended : undefined;
      this.#succeeded = undefined;
      if (death !== undefined && !this.#isStopping) {
        if (predecessor.phase === "leaving") void this.#join(name);
        else void this.#restart(name, `ended ${death}`, predecessor.servedMs);
      }
      throw error;
    }
  }

  /** @throws {Error} (rejects) if a worker that has begun to serve doesn't live for a while. */
  async #prove(worker: WorkerProcess): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const proof = new Promise<void>((resolve) => timer = setTimeout(resolve, PROOF_MS));
    const death = await Promise.race([proof, worker.ended]);
    clearTimeout(timer);
    if (death !== undefined) throw new Error(`it ended ${death} when it had just begun to serve`);
  }

  /** See `RollHost.retire`. */
  async #retire(predecessor: WorkerProcess): Promise<void> {
    const { drainMs } = this.#plan;
    const patience = setTimeout(() => predecessor.kill(), STOP_PATIENCE_MS + (drainMs ?? 0));
    await this.#end(predecessor);
    await predecessor.ended;
    clearTimeout(patience);
    this.#succeeded = undefined;
  }

  #followClock(): void {
    const event = this.#timekeeper.follow();
    if (event !== undefined) logClock(this.#logger, event);
  }

  /**
   * Ends a worker for which too much waits in another one, unless it shows that it's only busy; also
   * where it shows that again and again.
   */
  async #examine({ path, owedBytes, silentMs }: OverdueProcess): Promise<void> {
    const worker = [...this.#workers].find(({ socketPath }) => socketPath === path);
    if (worker === undefined || this.#examined.has(worker)) return;
    this.#examined.add(worker);
    const isAlive = silentMs < PING_DEADLINE_MS && await Promise.race([
      worker.order({ do: "ping" }).then(() => true, () => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), EXAMINATION_MS)),
    ]);
    this.#examined.delete(worker);
    if (isAlive || worker.hasEnded) return;
    const seconds = (silentMs / 1000).toFixed(1);
    this.#logger.error(
      "{name} has taken nothing from another worker for {seconds} s, and {owedBytes} bytes wait for it; " +
        "it is ended",
      { name: worker.name, seconds, owedBytes },
    );
    worker.kill();
  }

  #pingAll(): void {
    for (const worker of this.#workers) {
      const ponged = worker.order({ do: "ping" }).catch(() => {});
      // One that starts has a deadline of its own.
      if (worker.phase === "starting") continue;
      const deadline = setTimeout(() => {
        this.#logger.error("{name} gives no sign of life; it is ended", { name: worker.name });
        worker.kill();
      }, PING_DEADLINE_MS);
      ponged.finally(() => clearTimeout(deadline));
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
