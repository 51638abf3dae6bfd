import type { WaitingRoom } from "../flow/gate.ts";
import type { Batch } from "../history/batch.ts";
import type { Origin } from "../history/origins.ts";
import { CatchUp, type CatchUpSource } from "./catch_up.ts";
import type { Pace } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { Entry, LogReader, UnreadLog } from "./unread_log.ts";

const NOTHING_HAD: ReadonlyMap<Origin, number> = new Map();

/** A subscription that reads what its topic keeps for subscribers which are behind, until it is level again. */
export class Follower extends CatchUp implements LogReader {
  readonly #log: UnreadLog;
  declare entry: Entry;
  isAwaited = false;
  isDetached = false;
  pace: Pace;

  /** @param next The number of the first message that it gets. */
  constructor(
    subscription: Subscription,
    source: CatchUpSource,
    next: number,
    log: UnreadLog,
    pace: Pace,
    gate: WaitingRoom,
  ) {
    const { untaggedOrigin: origin } = source;
    const from = { next, cleanFrom: next, scattered: 0, had: NOTHING_HAD, origin };
    super(subscription, source, from, gate);
    this.#log = log;
    this.pace = pace;
    log.add(this);
  }

  override get isReplay(): boolean {
    return false;
  }

  override detach(end: number): void {
    super.detach(end);
    this.isDetached = true;
    this.#log.noteChange(this, this.pace);
  }

  override get bytesBehind(): number {
    return this.isOver ? 0 : this.#log.bytesBehind(this);
  }

  override setPace(pace: Pace): void {
    const before = this.pace;
    if (pace === before || this.isOver) return;
    this.pace = pace;
    this.#log.noteChange(this, before);
  }

  override stop(): void {
    super.stop();
    this.#log.remove(this);
  }

  override step(mayWait: boolean): number {
    super.step(mayWait);
    if (!this.isOver) this.#log.advance(this);
    // Nothing is replayed: it comes for the first time.
    return 0;
  }

  protected override get batch(): Batch | undefined {
    this.#log.advance(this);
    return this.#log.batchFor(this);
  }
}
