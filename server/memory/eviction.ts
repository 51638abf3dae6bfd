import type { Runtime } from "../../runtime/types.ts";
import { siteOf } from "../access/ip_address.ts";
import { SMALL_FRAME_BYTES } from "../limits/memory.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { Session } from "../session/session.ts";
import type { SessionTable } from "../session/session_table.ts";

/** Sessions that one turn ends: each may take a write, and leaves its topics. */
const ENDED_PER_TURN = 32;

/** The parts of the server that evictions use. */
export interface EvictionHost {
  readonly runtime: Pick<Runtime, "nextTurn">;
  readonly sessions: SessionTable<Session>;
  readonly budget: Pick<MemoryBudget, "outputBytes">;
  /** Called for each session that was ended. */
  onEvicted(): void;
}

/** Describes the memory that is short. */
export interface Need {
  /** Bytes that a session holds of it, without those that wait for the session. */
  bytesOf(session: Session): number;
  /** True if bytes that wait for a session count too. */
  readonly countsOutput: boolean;
  /** True while more has to be freed. Asked before each session that is ended. */
  isNeeded(): boolean;
  /** The error message for clients that are ended, in one sentence. */
  readonly detail: string;
}

/** The memory that the sessions of one address hold. */
interface Holding {
  readonly sessions: { readonly session: Session; readonly bytes: number }[];
  /** Bytes that are shared with no other session. */
  ownBytes: number;
  /** Bytes that wait for them; a message that waits for several counts for each. */
  outputBytes: number;
}

/**
 * Ends sessions because memory is short, some in each turn, until enough is free: first the session that
 * holds most, of the address that holds most.
 */
export class Eviction {
  readonly #host: EvictionHost;
  /** Sessions to end; the first to go is the last in the array. */
  #doomed: Session[] = [];
  #isDue = false;

  constructor(host: EvictionHost) {
    this.#host = host;
  }

  /**
   * Begins to end sessions, unless it is already doing so.
   *
   * @returns True if any session holds enough to be worth it.
   */
  begin(need: Need): boolean {
    if (this.#isDue) return true;
    this.#doomed = this.#order(need);
    if (this.#doomed.length === 0) return false;
    this.#continue(need);
    return true;
  }

  #order({ bytesOf, countsOutput }: Need): Session[] {
    const { sessions, budget } = this.#host;
    const bySite = new Map<string, Holding>();
    for (let slot = sessions.size - 1; slot >= 0; slot--) {
      const session = sessions.at(slot);
      if (session === undefined) continue;
      const ownBytes = bytesOf(session);
      const outputBytes = countsOutput ? session.pendingBytes : 0;
      const bytes = ownBytes + outputBytes;
      if (bytes < SMALL_FRAME_BYTES) continue;
      const site = siteOf(session.remoteAddress);
      let holding = bySite.get(site);
      if (holding === undefined) {
        holding = { sessions: [], ownBytes: 0, outputBytes: 0 };
        bySite.set(site, holding);
      }
      holding.sessions.push({ session, bytes });
      holding.ownBytes += ownBytes;
      holding.outputBytes += outputBytes;
    }
    // A message that waits for thousands of readers is in memory once.
    const total = ({ ownBytes, outputBytes }: Holding) =>
      ownBytes + Math.min(outputBytes, budget.outputBytes);
    return [...bySite.values()]
      .sort((a, b) => total(a) - total(b))
      .flatMap(({ sessions }) => sessions.sort((a, b) => a.bytes - b.bytes))
      .map(({ session }) => session);
  }

  #continue(need: Need): void {
    this.#isDue = true;
    this.#host.runtime.nextTurn(() => {
      this.#isDue = false;
      for (let count = 0; count < ENDED_PER_TURN; count++) {
        const session = need.isNeeded() ? this.#doomed.pop() : undefined;
        if (session === undefined) {
          this.#doomed = [];
          return;
        }
        if (session.giveWay(need.detail)) this.#host.onEvicted();
      }
      this.#continue(need);
    });
  }
}
