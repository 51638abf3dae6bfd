/**
 * The other members of the cluster that a soaked server belongs to, and the NATS that joins them.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "../../../cli/command_line.ts";
import type { Cleanup } from "../../harness/cleanup.ts";
import { lastingPort } from "../../harness/lasting_port.ts";
import { NatsProcess } from "../../harness/nats_process.ts";
import type { ServerProcess } from "../../harness/server_process.ts";
import type { Faults } from "../checks/faults.ts";
import { type OnWaited, Watch } from "../checks/watch.ts";

const HOSTNAME = "127.0.0.1";

/** Milliseconds from one try to start a member again to the next, and for all of them. */
const RETRY_MS = 1_000;
const RESTART_PATIENCE_MS = 60_000;

/** Starts a member. @param port Its port. */
export type StartMember = (port: number) => Promise<ServerProcess>;

/** A member that may be killed and started again. It keeps its port. */
export class ClusterMember {
  readonly port: number;
  readonly #start: StartMember;
  #server: ServerProcess;
  #faults: Faults | undefined;
  #watch: Watch | undefined;
  #peakBytes = 0;
  /** See `Watch`. */
  onWaited: OnWaited = () => {};

  private constructor(port: number, start: StartMember, server: ServerProcess) {
    this.port = port;
    this.#start = start;
    this.#server = server;
  }

  static async start(start: StartMember): Promise<ClusterMember> {
    const port = await lastingPort();
    return new ClusterMember(port, start, await start(port));
  }

  /** The process ID of its server. */
  get pid(): number {
    return this.#server.pid;
  }

  get adminUrl(): string | undefined {
    return this.#server.adminUrl;
  }

  /** Its workers at the last look. */
  get workers(): readonly number[] {
    return this.#watch?.workers ?? [];
  }

  /** The most bytes that all its processes together had at any look. */
  get peakResidentBytes(): number {
    return Math.max(this.#peakBytes, this.#watch?.peakResidentBytes ?? 0);
  }

  /** Watches its processes from now on. */
  async watch(faults: Faults): Promise<void> {
    this.#faults = faults;
    this.#watch = await Watch.start(this.pid, faults);
    this.#watch.onWaited = (...times) => this.onWaited(...times);
  }

  unwatch(): void {
    this.#peakBytes = this.peakResidentBytes;
    this.#watch?.stop();
    this.#watch = undefined;
  }

  /** Lets all its processes stand still. */
  halt(): void {
    for (const pid of [this.pid, ...this.workers]) {
      try {
        process.kill(pid, "SIGSTOP");
      } catch {
        // It has ended by itself, which the watch reports.
      }
    }
  }

  /** Ends all its processes at once. */
  async kill(): Promise<void> {
    this.unwatch();
    await this.#server.kill();
  }

  /**
   * Starts it again, at its port.
   *
   * @throws {EnvironmentError} (rejects) if it doesn't start within a minute.
   */
  async restart(): Promise<void> {
    const endMs = performance.now() + RESTART_PATIENCE_MS;
    for (;;) {
      try {
        this.#server = await this.#start(this.port);
        break;
      } catch (error) {
        if (!(error instanceof EnvironmentError) || performance.now() > endMs) throw error;
        await sleep(RETRY_MS);
      }
    }
    if (this.#faults !== undefined) await this.watch(this.#faults);
  }

  /** Asks it to stop, and resolves with its exit status. */
  stopped(): Promise<number | null> {
    return this.#server.stopped();
  }
}

/** NATS, and the members but for the one that is watched like a server that is alone. */
export class SoakedCluster {
  readonly #cleanup: Cleanup;
  readonly natsPort: number;
  #nats: NatsProcess;
  #others: readonly ClusterMember[] = [];

  private constructor(nats: NatsProcess, cleanup: Cleanup) {
    this.natsPort = nats.port;
    this.#nats = nats;
    this.#cleanup = cleanup;
  }

  /**
   * Starts NATS.
   *
   * @throws {EnvironmentError} (rejects) if it isn't installed, or doesn't start.
   */
  static async start(cleanup: Cleanup): Promise<SoakedCluster> {
    return new SoakedCluster(await startNats(await lastingPort(), cleanup), cleanup);
  }

  get natsPid(): number {
    return this.#nats.pid;
  }

  get others(): readonly ClusterMember[] {
    return this.#others;
  }

  /** Starts so many members, one after another. */
  async startOthers(count: number, start: StartMember): Promise<void> {
    for (let at = 0; at < count; at++) {
      this.#others = [...this.#others, await ClusterMember.start(start)];
    }
  }

  async killNats(): Promise<void> {
    await this.#nats.kill();
  }

  /** Starts NATS again, at its port. */
  async startNats(): Promise<void> {
    this.#nats = await startNats(this.natsPort, this.#cleanup);
  }
}

function startNats(port: number, cleanup: Cleanup): Promise<NatsProcess> {
  return NatsProcess.start({ hostname: HOSTNAME, port }, [], (group) => cleanup.add(group));
}
