import type { Runtime } from "../../runtime/types.ts";
import { siteOf } from "../access/ip_address.ts";
import { SMALL_FRAME_BYTES } from "../limits.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { Session } from "../session/session.ts";
import type { SessionTable } from "../session/session_table.ts";

/** Sessions that are ended in a turn: each may take a write, and leaves its topics. */
const ENDED_PER_TURN = 32;

/** What an eviction needs of the server. */
export interface EvictionHost {
  readonly runtime: Pick<Runtime, "nextTurn">;
  readonly sessions: SessionTable<Session>;
  readonly budget: Pick<MemoryBudget, "outputBytes">;
  /** A session was ended. */
  onEvicted(): void;
}

/** What is short. */
export interface Need {
  /** Bytes that a session holds of it, without what waits for it. */
  bytesOf(session: Session): number;
  /** Whether what waits for a session is short too. */
  readonly countsOutput: boolean;
  /** Asked before each session that is ended. */
  isNeeded(): boolean;
  /** What those are told who are ended, in a sentence. */
  readonly detail: string;
}

/** What the sessions of an address hold. */
interface Holding {
  readonly sessions: { readonly session: Session; readonly bytes: number }[];
  /** What isn't shared with others. */
  ownBytes: number;
  /** What waits for them, each message as often as it does. */
  outputBytes: number;
}

/**
 * Ends sessions because memory is short: of the address that holds most, the session that holds most,
 * and so on, some a turn, until there is no need any more.
 */
export class Eviction {
  readonly #host: EvictionHost;
  /** The first to go is the last. */
  #doomed: Session[] = [];
  #isDue = false;

  constructor(host: EvictionHost) {
    this.#host = host;
  }

  /**
   * Begins to end sessions, unless it's at it.
   *
   * @returns Whether anybody holds enough to be worth it.
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
    // What waits for thousands of readers is there once.
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
