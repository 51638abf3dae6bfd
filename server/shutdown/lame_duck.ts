import { setTimeout as sleep } from "node:timers/promises";
import type { Runtime } from "../../runtime/types.ts";
import type { Counters } from "../counters.ts";
import type { FairReader } from "../flow/fair_reader.ts";
import { StaggeredClose } from "./staggered_close.ts";
import { CLOSES_PER_SECOND, MAX_DEFAULT_DRAIN_MS } from "../limits/shutdown.ts";
import type { Mesh } from "../cluster/mesh.ts";
import type { Cluster } from "../machines/cluster.ts";
import type { Session } from "../session/session.ts";
import type { SessionTable } from "../session/session_table.ts";
import type { FairScheduler } from "../timing/fair_scheduler.ts";

/** The parts of the server that a stop uses. */
export interface LameDuckHost {
  readonly runtime: Runtime;
  readonly sessions: SessionTable<Session>;
  readonly scheduler: FairScheduler;
  readonly reading: FairReader;
  readonly counters: Readonly<Counters>;
  readonly mesh: Mesh | undefined;
  readonly cluster: Cluster | undefined;
}

/**
 * When nothing has happened for so many rounds of so many milliseconds, all that had arrived when the stop
 * began is read.
 */
const QUIET_ROUND_MS = 20;
const QUIET_ROUNDS = 5;

/** Milliseconds after which a stop goes on, although clients keep sending. */
const QUIET_DEADLINE_MS = 2_000;

/**
 * Milliseconds for which a process stays until the others have taken what it owes them. A process that
 * hangs goes on within that time, or is ended for its silence.
 */
const TAKING_DEADLINE_MS = 13_000;

/** Milliseconds between two steps of the closes. */
const STEP_MS = 10;

/** Ends a server that accepts no more connections: closes those that it has. */
export class LameDuck {
  readonly #host: LameDuckHost;

  constructor(host: LameDuckHost) {
    this.#host = host;
  }

  /** Resolves when all that had arrived is read and on its way, or after 2 s. */
  async becomeQuiet(): Promise<void> {
    const { scheduler, reading, mesh, cluster } = this.#host;
    const deadlineMs = performance.now() + QUIET_DEADLINE_MS;
    for (let quietRounds = 0; quietRounds < QUIET_ROUNDS && performance.now() < deadlineMs;) {
      const before = this.#activity;
      await sleep(QUIET_ROUND_MS);
      const isFlushed = mesh === undefined || mesh.isAcknowledged && !mesh.awaitsReceipts;
      const isQuiet = before === this.#activity && !scheduler.isBusy && !reading.isBusy &&
        isFlushed && !cluster?.awaitsReceipts &&
        !this.#isAnyClientWaiting();
      quietRounds = isQuiet ? quietRounds + 1 : 0;
    }
  }

  /**
   * Tells all clients that the server stops, and closes them. A client is served as ever until it is told.
   *
   * @param drainMs Milliseconds that this takes; {@linkcode defaultDrainMs} unless given.
   */
  async closeAll(drainMs: number | undefined): Promise<void> {
    const { runtime, sessions } = this.#host;
    const leavers = sessions.list();
    const close = new StaggeredClose(
      leavers,
      drainMs ?? defaultDrainMs(leavers.length),
      performance.now(),
      Math.random,
    );
    while (!close.isOver && sessions.size > 0) {
      const most = runtime.writesPerTurn;
      const nowMs = performance.now();
      const count = close.tellDue(nowMs, nowMs + STEP_MS, most);
      if (close.isOver) return;
      if (count === most) await this.nextTurn();
      else await sleep(STEP_MS);
    }
  }

  /** Aborts clients that haven't gone by the deadline, and resolves when all are gone. */
  async awaitGone(deadlineMs: number): Promise<void> {
    const { sessions } = this.#host;
    while (sessions.size > 0 && performance.now() < deadlineMs) await sleep(STEP_MS);
    for (let slot = sessions.size - 1; slot >= 0; slot--) sessions.at(slot)?.destroy();
    while (sessions.size > 0) await this.nextTurn();
  }

  /**
   * Resolves when the other processes, those that hang included, have taken what was accepted here, or
   * have ended; at the latest after 13 s.
   */
  async awaitTaken(): Promise<void> {
    const { mesh } = this.#host;
    const deadlineMs = performance.now() + TAKING_DEADLINE_MS;
    while (mesh?.isTaken === false && performance.now() < deadlineMs) await sleep(STEP_MS);
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#host.runtime.nextTurn(resolve));
  }

  /** True if the server makes a publisher wait, which may then have sent bytes that aren't read yet. */
  #isAnyClientWaiting(): boolean {
    const { sessions } = this.#host;
    for (let slot = sessions.size - 1; slot >= 0; slot--) {
      if (sessions.at(slot)?.isWaiting) return true;
    }
    return false;
  }

  /** A number that changes with everything that is read or written. */
  get #activity(): number {
    const { bytesIn, messagesForwarded, writes } = this.#host.counters;
    return bytesIn + messagesForwarded + writes;
  }
}

/** The default drain time in milliseconds, used without `--drain-seconds`. */
function defaultDrainMs(connections: number): number {
  return Math.min(MAX_DEFAULT_DRAIN_MS, connections * 1000 / CLOSES_PER_SECOND);
}
