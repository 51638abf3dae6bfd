import type { Logger } from "@logtape/logtape";
import { mkdtempSync, rmSync } from "node:fs";
import { EnvironmentError } from "../runtime/command_line.ts";
import type { Address, Runtime, TlsIdentity } from "../runtime/types.ts";
import type { AccessOptions } from "./access.ts";
import type { OverdueProcess } from "./backplane.ts";
import { CONTROL_VERSION, type Order } from "./control.ts";
import { Lender } from "./lending/lender.ts";
import { termsOf } from "./lending/terms.ts";
import { type Limits, SWEEP_INTERVAL_MS } from "./limits.ts";
import { logClock, type LogLevel } from "./log.ts";
import { RollingUpgrade } from "./rolling_upgrade.ts";
import { CensusTaker } from "./shares/census_taker.ts";
import { Timekeeper } from "./timekeeper.ts";
import { WorkerProcess } from "./worker_process.ts";

/** What a supervisor starts. */
export interface SupervisorPlan {
  readonly workers: number;
  readonly hostname: string;
  /** 0 lets the system choose; all workers share what it chose. */
  readonly port: number;
  /** Who the workers say they are by TLS; `null` for plain TCP. */
  readonly tls: TlsIdentity | null;
  /** The limits of each worker; those of connections, rates and topics hold for all together. */
  readonly limits: Limits;
  /** Connections that one worker's descriptors are enough for. */
  readonly maxOwnConnections: number;
  readonly access: AccessOptions;
  readonly logLevel: LogLevel;
  /** Milliseconds over which workers close their connections when they stop; see `Order`. */
  readonly drainMs: number | null;
}

/** Where each supervisor makes a folder for its workers' sockets, whose paths must be short. */
export const WORKERS_FOLDER = "/tmp";

/** More deaths than this within {@linkcode DEATH_WINDOW_MS}, and a restart mends nothing. */
const MAX_DEATHS = 5;
const DEATH_WINDOW_MS = 60_000;

/** The wait before the first restart; it doubles with each death within the window. */
const FIRST_RESTART_MS = 100;

/** How often a worker is asked for a sign of life, and how long it may take to give one. */
const PING_INTERVAL_MS = 2_000;
const PING_DEADLINE_MS = 10_000;

/** The same where others wait for it that have had no sign of life from it for a second themselves. */
const EXAMINATION_MS = 1_000;

/**
 * How long workers may take to end, a bit more than the graceful stop takes at most, and on top of the
 * time over which they are asked to close their connections.
 */
const STOP_PATIENCE_MS = 9_700;

/** How often a roll looks whether a worker that has just been started is ready to be replaced. */
const LOOK_MS = 50;

/** How long a successor has to serve before its predecessor is asked to end. */
const PROOF_MS = 1_000;

/** How long a new worker may take to be ready. */
const START_PATIENCE_MS = 10_000;

/**
 * Runs a server in several processes that share the port, and starts a new one for each that dies.
 */
export class Supervisor {
  /** Resolves with the reason when it has given up, because workers die again and again. */
  readonly gaveUp: Promise<string>;
  readonly #runtime: Runtime;
  readonly #plan: SupervisorPlan;
  readonly #logger: Logger;
  /** Holds the workers' sockets; only this user may enter it. */
  readonly #directory: string;
  readonly #workers = new Set<WorkerProcess>();
  /** Those of them that listen for clients. */
  readonly #listening = new Set<WorkerProcess>();
  #lastListen: Promise<void> = Promise.resolve();
  /** Workers that were asked to end. */
  readonly #leaving = new Set<WorkerProcess>();
  /** Workers that are asked just now whether they only are busy. */
  readonly #examined = new Set<WorkerProcess>();
  readonly #upgrade: RollingUpgrade<WorkerProcess>;
  /** The worker whose place a successor takes, from before that starts until the worker is gone. */
  #succeeded: WorkerProcess | undefined;
  readonly #lender: Lender<WorkerProcess>;
  readonly #censusTaker = new CensusTaker<WorkerProcess>();
  /** Issues nothing: it knows where the workers' timestamps stand, for those to come. */
  readonly #timekeeper = new Timekeeper();
  #giveUp: (reason: string) => void = () => {};
  #address: Address | undefined;
  /** What workers are told when they begin to listen, and again when it changes. */
  #tls: TlsIdentity | null;
  #access: AccessOptions;
  #deathTimesMs: number[] = [];
  #isStopping = false;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #clockTimer: ReturnType<typeof setInterval> | undefined;

  constructor(runtime: Runtime, plan: SupervisorPlan, logger: Logger) {
    this.#runtime = runtime;
    this.#plan = plan;
    this.#tls = plan.tls;
    this.#access = plan.access;
    this.#logger = logger;
    this.gaveUp = new Promise((resolve) => this.#giveUp = resolve);
    this.#lender = new Lender(runtime, termsOf(plan.limits), plan.workers);
    this.#upgrade = new RollingUpgrade({
      workers: this.#workers,
      succeed: (predecessor) => this.#succeed(predecessor),
      retire: (predecessor) => this.#retire(predecessor),
    }, logger);
    this.#directory = mkdtempSync(`${WORKERS_FOLDER}/hotwheels-`);
  }

  /**
   * Starts the workers.
   *
   * @returns Where they listen.
   * @throws {EnvironmentError} (rejects) when they can't be started or the address can't be had.
   */
  async start(): Promise<Address> {
    try {
      const names = Array.from({ length: this.#plan.workers }, (_, index) => `worker-${index + 1}`);
      const started = await Promise.all(names.map((name) => this.#startWorker(name)));
      for (const worker of started) await this.#open(worker);
    } catch (error) {
      await this.stop();
      throw new EnvironmentError((error as Error).message, { cause: error });
    }
    for (const worker of this.#workers) this.#watch(worker);
    this.#pingTimer = setInterval(() => this.#pingAll(), PING_INTERVAL_MS);
    this.#clockTimer = setInterval(() => this.#followClock(), SWEEP_INTERVAL_MS);
    return this.#address as Address;
  }

  /**
   * Uses another TLS identity from the next handshake on, in workers to come too. Resolves when all that
   * run have been told; what one of them can't do is logged.
   *
   * @param tls One that can be used.
   */
  async renew(tls: TlsIdentity): Promise<void> {
    this.#tls = tls;
    await this.#tellAll({ do: "renew", tls });
  }

  /** Uses other rules of who may do what, as `RunningServer.setAccess` does, in workers to come too. */
  async setAccess(access: AccessOptions): Promise<void> {
    this.#access = access;
    await this.#tellAll({ do: "set_access", access });
  }

  /**
   * Replaces the workers one after the other by what is on disk now, while the others serve; see
   * {@linkcode RollingUpgrade.request}. What comes of it is logged.
   */
  roll(): void {
    this.#upgrade.request();
  }

  async #tellAll(order: Order): Promise<void> {
    await Promise.all([...this.#workers].map(async (worker) => {
      try {
        await worker.order(order);
      } catch (error) {
        // One that has ended has a successor, which is told when it begins to listen.
        if (worker.hasEnded) return;
        const { message } = error as Error;
        this.#logger.error("{name} stays as it was: {message}", { name: worker.name, message });
      }
    }));
  }

  /**
   * Stops all workers gracefully; resolves when they have ended, within 10 s and the plan's drain.
   * Idempotent.
   */
  async stop(): Promise<void> {
    const { drainMs } = this.#plan;
    this.#isStopping = true;
    this.#upgrade.stop();
    clearInterval(this.#pingTimer);
    clearInterval(this.#clockTimer);
    const patience = setTimeout(() => {
      for (const worker of this.#workers) worker.kill();
    }, STOP_PATIENCE_MS + (drainMs ?? 0));
    const workers = [...this.#workers];
    // One that isn't up yet has no clients, and may never be.
    for (const worker of workers) {
      if (!this.#listening.has(worker) && !this.#leaving.has(worker)) worker.kill();
    }
    // What one worker has accepted, the others still have to deliver: nobody leaves before all have.
    await Promise.allSettled(workers.map((worker) => worker.order({ do: "drain" })));
    await Promise.allSettled(workers.map((worker) => worker.order({ do: "stop" })));
    await Promise.all(workers.map((worker) => worker.ended));
    clearTimeout(patience);
    this.#lender.stop();
    this.#censusTaker.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Ends all workers at once. */
  kill(): void {
    this.#isStopping = true;
    for (const worker of this.#workers) worker.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Starts a worker; it accepts no clients yet. */
  async #startWorker(name: string): Promise<WorkerProcess> {
    for (;;) {
      const worker = await WorkerProcess.spawn(
        this.#runtime,
        name,
        this.#directory,
        {
          onSignal: (signalled) => void this.#replace(signalled),
          onCensus: (worker, census, asks) => this.#censusTaker.take(worker, census, asks),
          onOverdue: (overdue) => void this.#examine(overdue),
          onClaims: (claimant, claims) => this.#lender.take(claimant, claims),
        },
      );
      const patience = setTimeout(() => worker.kill(), START_PATIENCE_MS);
      this.#workers.add(worker);
      worker.ended.then(() => {
        this.#workers.delete(worker);
        this.#listening.delete(worker);
        this.#lender.remove(worker);
        this.#censusTaker.remove(worker);
      });
      const { limits, workers, maxOwnConnections, logLevel, drainMs } = this.#plan;
      const { socketPath } = worker;
      try {
        // It was spawned while the others were told.
        if (this.#isStopping) throw new Error("the server stops");
        await worker.order({
          do: "start",
          version: CONTROL_VERSION,
          name,
          socketPath,
          limits,
          workers,
          maxOwnConnections,
          logLevel,
          drainMs,
          timestampsAfter: this.#timekeeper.timestamps.next(),
        });
        this.#lender.add(worker);
        this.#censusTaker.add(worker);
        return worker;
      } catch (error) {
        worker.kill();
        const death = await worker.ended;
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
    const others = [...this.#workers].filter((other) => other !== worker);
    await Promise.all(others.map(async (other) => {
      // One that dies meanwhile needs no link.
      await other.order({ do: "link", socketPath: worker.socketPath }).catch(() => {});
      await worker.order({ do: "link", socketPath: other.socketPath }).catch(() => {});
    }));
    const tls = this.#tls;
    const access = this.#access;
    await this.#inTurn(() => this.#listen(worker, tls, access));
    // Changed while it came to listen: it may have been told before it could use that.
    if (this.#tls !== null && this.#tls !== tls) {
      await worker.order({ do: "renew", tls: this.#tls });
    }
    if (this.#access !== access) await worker.order({ do: "set_access", access: this.#access });
  }

  /** Lets one worker after the other begin to listen. */
  #inTurn(listen: () => Promise<void>): Promise<void> {
    return this.#lastListen = this.#lastListen.catch(() => {}).then(listen);
  }

  /** Lets a worker accept clients; the first one finds out whether the address is to be had. */
  async #listen(
    worker: WorkerProcess,
    tls: TlsIdentity | null,
    access: AccessOptions,
  ): Promise<void> {
    const { hostname } = this.#plan;
    const port = this.#address?.transport === "tcp" ? this.#address.port : this.#plan.port;
    const isFirst = this.#listening.size === 0;
    const order = { do: "listen", hostname, port, isFirst, tls, access } as const;
    this.#address = await worker.order(order) ?? undefined;
    this.#listening.add(worker);
  }

  #watch(worker: WorkerProcess): void {
    worker.ended.then((death) => {
      if (this.#isStopping || this.#succeeded === worker) return;
      if (this.#leaving.delete(worker)) void this.#join(worker.name);
      else void this.#restart(worker.name, death);
    });
  }

  async #restart(name: string, death: string): Promise<void> {
    const nowMs = performance.now();
    this.#deathTimesMs = this.#deathTimesMs.filter((ms) => nowMs - ms < DEATH_WINDOW_MS);
    this.#deathTimesMs.push(nowMs);
    const deaths = this.#deathTimesMs.length;
    if (deaths >= MAX_DEATHS) {
      const seconds = DEATH_WINDOW_MS / 1000;
      this.#giveUp(`${deaths} workers died within ${seconds} s, the last ended ${death}`);
      return;
    }
    const waitMs = FIRST_RESTART_MS * 2 ** (deaths - 1);
    this.#logger.error("{name} ended {death}; a new one starts in {waitMs} ms", {
      name,
      death,
      waitMs,
    });
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (!this.#isStopping) await this.#join(name);
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
      if (!this.#isStopping) await this.#restart(name, `before it was ready (${error})`);
    }
  }

  /** Somebody signalled one worker: it ends gracefully, and a new one takes its place. */
  async #replace(worker: WorkerProcess): Promise<void> {
    // A signal to the whole process group reaches us as well: give it the time to.
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (this.#isStopping || this.#leaving.has(worker)) return;
    this.#logger.info("{name} was asked to end; a new one follows", { name: worker.name });
    await this.#end(worker);
  }

  /** Lets a worker end gracefully, while the others go on. */
  async #end(worker: WorkerProcess): Promise<void> {
    this.#leaving.add(worker);
    await worker.order({ do: "drain" }).catch(() => {});
    this.#listening.delete(worker);
    await worker.order({ do: "stop" }).catch(() => {});
  }

  /** See `RollHost.succeed`. */
  async #succeed(predecessor: WorkerProcess): Promise<WorkerProcess | undefined> {
    const isGoing = () => {
      return predecessor.hasEnded || this.#leaving.has(predecessor) || this.#isStopping;
    };
    while (!this.#listening.has(predecessor) && !isGoing()) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
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
        if (this.#leaving.delete(predecessor)) void this.#join(name);
        else void this.#restart(name, death);
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
    this.#leaving.delete(predecessor);
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
      const deadline = setTimeout(() => {
        this.#logger.error("{name} gives no sign of life; it is ended", { name: worker.name });
        worker.kill();
      }, PING_DEADLINE_MS);
      worker.order({ do: "ping" }).catch(() => {}).finally(() => clearTimeout(deadline));
    }
  }
}
