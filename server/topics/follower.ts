import type { Batch } from "../history/batch.ts";
import type { Origin } from "../history/origins.ts";
import { CatchUp, type CatchUpSource } from "./catch_up.ts";
import type { Pace } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { Entry, LogReader, UnreadLog } from "./unread_log.ts";

const NOTHING_HAD: ReadonlyMap<Origin, number> = new Map();

/** What all followers of one subscriber have in common. */
export interface FollowingSubscriber {
  readonly pace: Pace;
  /** True if logs keep so much for it together that publishers wait for it, if it reads. */
  readonly isLaden: boolean;
  /** The bytes that waited for it when they were last added up. */
  readonly pendingBytes: number;
}

/** A subscription that reads what its topic keeps for subscribers which are behind, until it is level again. */
export class Follower extends CatchUp implements LogReader {
  readonly #log: UnreadLog;
  readonly #following: FollowingSubscriber;
  /** Its part of the bytes that were last added up. */
  #addedBytes = 0;
  declare entry: Entry;
  isAwaited = false;
  holdsPublishers = false;

  /** @param next The number of the first message that it gets. */
  constructor(
    subscription: Subscription,
    source: CatchUpSource,
    next: number,
    log: UnreadLog,
    following: FollowingSubscriber,
  ) {
    const { untaggedOrigin: origin } = source;
    super(subscription, source, { next, cleanFrom: next, scattered: 0, had: NOTHING_HAD, origin });
    this.#log = log;
    this.#following = following;
    log.add(this);
  }

  override get isReplay(): boolean {
    return false;
  }

  override get bytesBehind(): number {
    return this.isOver ? 0 : this.#log.bytesBehind(this);
  }

  get pace(): Pace {
    return this.#following.pace;
  }

  get isLaden(): boolean {
    return this.#following.isLaden;
  }

  get otherBytes(): number {
    return this.#following.pendingBytes - this.#addedBytes;
  }

  /** Its part of the bytes that wait for its subscriber, to be added to the others'. */
  override addBytes(): number {
    return this.#addedBytes = this.bytesBehind;
  }

  override noteChange(before: Pace): void {
    if (!this.isOver) this.#log.noteChange(this, before);
  }

  override stop(): void {
    super.stop();
    this.#log.remove(this);
  }

  override step(mayWait: boolean): number {
    super.step(mayWait);
    // Nothing is replayed: it comes for the first time.
    return 0;
  }

  protected override noteNext(): void {
    this.#log.advance(this);
  }

  protected override get batch(): Batch | undefined {
    this.#log.advance(this);
    return this.#log.batchFor(this);
  }
}
