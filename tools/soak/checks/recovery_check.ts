import type { Faults } from "./faults.ts";
import type { Strike, StrikeHistory } from "./strike_history.ts";

/** The history that a server is known to keep. */
export interface SoakedHistory {
  /** Milliseconds for which messages are stored. */
  readonly timeMs: number;
  /** The number of messages of a topic that are stored. */
  readonly messages: number;
  /** The bytes of a topic that are stored. */
  readonly bytes: number;
  /** The number of messages that it dropped so far for other reasons. */
  readonly readGivenUp: () => Promise<number>;
}

/** The gap of a subscriber that was told that it isn't recovered. */
export interface Loss {
  readonly who: string;
  readonly reason: string;
  /** When its connection was lost, and when its subscription before had begun, by `performance.now()`. */
  readonly goneMs: number;
  readonly sinceMs: number;
  /** At most so much was published meanwhile. */
  readonly missed: { readonly messages: number; readonly bytes: number };
}

/** Milliseconds between two looks at what the history gave up. */
const LOOK_MS = 1_000;

/** Milliseconds after which a look knows what had been given up before. */
const KNOWN_MS = 3_000;

/** The share of each limit within which history must suffice. */
const SURE_SHARE = 1 / 2;

/** Origins that have ended and that a server remembers at least. */
const REMEMBERED_ENDS = 100;

/**
 * Milliseconds after a strike against a cluster in which a member may not know what another one has told a client,
 * for longer than clients wait for that. What only a killed member had told never becomes known.
 */
const APART_MS: Readonly<Partial<Record<Strike, number>>> = {
  hung: 30_000,
  nats_restarted: 30_000,
  member_killed: 60_000,
};

/**
 * Milliseconds by which a member of a cluster may be behind another: its clients' positions lie so far back when they
 * are lost, and another member may have given up by then what they come back for.
 */
const BEHIND_MS = 15_000;

/** Milliseconds after a worker hung in which others may have dropped what they kept for it. */
const HANG_AFTERMATH_MS = 60_000;

/**
 * Judges servers that tell a subscriber that it isn't recovered. They may do so only where the history can't
 * have sufficed.
 */
export class RecoveryCheck {
  readonly #history: SoakedHistory | null;
  readonly #strikes: StrikeHistory;
  readonly #faults: Faults;
  readonly #workers: number;
  readonly #isCluster: boolean;
  /** The numbers of messages that the history had given up at some times, by `performance.now()`; the oldest first. */
  readonly #looks: { readonly atMs: number; readonly givenUp: number }[] = [];
  #open: { readonly loss: Loss; readonly toldMs: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /**
   * @param history `null` if it isn't known, so that nothing can be judged.
   * @param isCluster True if subscribers may come back to another server than they had left.
   */
  constructor(
    history: SoakedHistory | null,
    workers: number,
    strikes: StrikeHistory,
    faults: Faults,
    isCluster = false,
  ) {
    this.#isCluster = isCluster;
    this.#history = history;
    this.#workers = workers;
    this.#strikes = strikes;
    this.#faults = faults;
  }

  /** Begins to look at the server. Resolves after the first look. */
  async start(): Promise<void> {
    if (this.#history === null) return;
    await this.#look();
    const again = () => {
      if (this.#isOver) return;
      this.#timer = setTimeout(() => void this.#look().then(again), LOOK_MS);
    };
    again();
  }

  /** Judges what isn't judged yet, after some seconds, and ends. */
  async stop(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    const endMs = performance.now() + 3 * KNOWN_MS;
    while (this.#open.length > 0 && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      await this.#look();
    }
  }

  /** A subscriber is told just now that it isn't recovered. */
  judge(loss: Loss): void {
    const history = this.#history;
    if (history === null) return;
    const nowMs = performance.now();
    const { reason, goneMs, sinceMs, missed } = loss;
    if (reason === "too_old") {
      const isLong = nowMs - goneMs > history.timeMs * SURE_SHARE;
      const isMuch = missed.messages > history.messages * SURE_SHARE ||
        missed.bytes > history.bytes * SURE_SHARE;
      if (!isLong && !isMuch) this.#open.push({ loss, toldMs: nowMs });
    } else if (reason === "unknown_origin") {
      const strikes = this.#strikes.records.filter(({ at_s }) => at_s * 1000 >= sinceMs).length;
      if (strikes * this.#workers < REMEMBERED_ENDS && !this.#isApart(nowMs)) this.#add(loss);
    } else if (reason === "gap") {
      const isAfterHang = this.#strikes.records.some(({ how, at_s }) =>
        how === "hung" && at_s * 1000 >= goneMs - HANG_AFTERMATH_MS
      );
      if (!isAfterHang) this.#add(loss);
    } else this.#add(loss);
  }

  /** True if a member may lack what another one has told clients. */
  #isApart(nowMs: number): boolean {
    return this.#isCluster &&
      this.#strikes.records.some(({ how, at_s }) => nowMs - at_s * 1000 < (APART_MS[how] ?? 0));
  }

  async #look(): Promise<void> {
    const atMs = performance.now();
    try {
      this.#looks.push({ atMs, givenUp: await this.#history!.readGivenUp() });
    } catch {
      // Its processes may be too busy, or be replaced just now.
      return;
    }
    this.#open = this.#open.filter(({ loss, toldMs }) => {
      if (atMs < toldMs + KNOWN_MS) return true;
      const positionMs = loss.goneMs - (this.#isCluster ? BEHIND_MS : 0);
      const before = this.#looks.findLast((look) => look.atMs <= positionMs - KNOWN_MS);
      if (before !== undefined && before.givenUp === this.#looks.at(-1)!.givenUp) this.#add(loss);
      return false;
    });
    const { timeMs } = this.#history!;
    while (this.#looks.length > 1 && this.#looks[1]!.atMs < atMs - 2 * timeMs) this.#looks.shift();
  }

  #add({ who, reason, goneMs, missed }: Loss): void {
    const outS = ((performance.now() - goneMs) / 1000).toFixed(1);
    this.#faults.add(
      "not_recovered",
      `${who}: ${reason}, ${outS} s after its connection was lost, and ${missed.messages} messages ` +
        `of ${missed.bytes} bytes at most`,
    );
  }
}
