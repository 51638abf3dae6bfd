import type { Origin } from "../history/origins.ts";
import type { RemoteMessage } from "./wire/messages.ts";
import { ASK_AGAIN_MS, GAP_PATIENCE_MS } from "./wire/limits.ts";

/** Messages of another machine's process that have come in one frame. */
export interface RemoteBatch {
  /** The timestamp of the message in front of the first. */
  readonly previous: number;
  /** In their order; at least one. */
  readonly messages: readonly RemoteMessage[];
  /** Bytes that it holds. */
  readonly byteLength: number;
}

interface HeldBatch extends RemoteBatch {
  readonly sinceMs: number;
}

/** What a stream tells, and asks of, its inbox. */
export interface StreamEvents {
  /** True if messages may be delivered now; otherwise they wait. */
  readonly mayDeliver: () => boolean;
  /** True while it makes sense to wait for what is missing: a lost connection ends no wait. */
  readonly isConnected: () => boolean;
  deliver(origin: Origin, message: RemoteMessage): void;
  /** Asks for the messages behind a timestamp. */
  ask(origin: Origin, after: number): void;
  /** Something is missing. */
  onGap(): void;
  /** Messages up to this timestamp can't be had any more. */
  onHole(origin: Origin, after: number, to: number): void;
  /** A batch was dropped that its machine hasn't sent. */
  onForged(origin: Origin): void;
  /** Counts bytes that begin to wait, or don't any more. Returns false if no more may. */
  holdBytes(bytes: number): boolean;
  /** All messages that an ended process has had are here, or lost. */
  onEnded(origin: Origin, end: "ended" | "crashed", micros: number): void;
}

/**
 * The messages of one process of another machine, put in order: what comes twice is dropped, what comes behind
 * a gap waits until the gap is filled, or can't be. `origin.micros` is the timestamp up to which everything was
 * delivered.
 */
export class IncomingStream {
  readonly origin: Origin;
  /** The machine that its process is part of. */
  readonly machine: string;
  readonly #events: StreamEvents;
  /** Batches behind a gap, or that may not be delivered yet, by their timestamps. */
  #held: HeldBatch[] = [];
  /** The timestamp of its last message, as its machine says, and when it said so. */
  #stated: number;
  #statedMs = -Infinity;
  /** Since when something is missing, on the coarse clock; `undefined` if nothing is. */
  #gapSinceMs: number | undefined;
  #askedMs = -Infinity;
  #end: { readonly how: "ended" | "crashed"; readonly micros: number } | undefined;

  constructor(origin: Origin, machine: string, events: StreamEvents) {
    this.origin = origin;
    this.machine = machine;
    this.#events = events;
    this.#stated = origin.micros;
  }

  /** Microseconds by which the last message that is known to exist is ahead of the last delivered one. */
  get lagMicros(): number {
    const newest = this.#held.at(-1)?.messages.at(-1)?.micros ?? -1;
    return Math.max(0, Math.max(this.#stated, newest) - this.origin.micros);
  }

  /** True if batches wait. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** Takes a batch, whose memory it may keep. @returns False if all of it was here already. */
  take(batch: RemoteBatch, nowMs: number): boolean {
    const { origin } = this;
    if (batch.messages.at(-1)!.micros <= origin.micros) return false;
    if (batch.previous <= origin.micros && this.#held.length === 0 && this.#events.mayDeliver()) {
      this.#deliver(batch);
      this.#progressed(nowMs);
    } else {
      this.#hold(batch, nowMs);
      this.release(nowMs);
    }
    return true;
  }

  /** Its machine says how far it is. */
  state(last: number, nowMs: number): void {
    this.#stated = Math.max(this.#stated, last);
    this.#statedMs = nowMs;
    this.#look(nowMs);
  }

  /** Its machine says that its process has ended. */
  end(how: "ended" | "crashed", micros: number, nowMs: number): void {
    this.#end ??= { how, micros };
    this.#look(nowMs);
  }

  /** Its machine doesn't keep the messages up to a timestamp any more. */
  skip(to: number, nowMs: number): void {
    const { origin } = this;
    while (to > origin.micros) {
      // What has come all the same isn't lost.
      const previous = this.#held[0]?.previous ?? Infinity;
      if (previous > origin.micros) this.#leap(Math.min(to, previous));
      const before = origin.micros;
      this.release(nowMs);
      if (origin.micros === before && before < to && this.#held.length > 0) return;
    }
    this.release(nowMs);
  }

  /** Delivers what may be delivered. To be called once that is possible again. */
  release(nowMs: number): void {
    let hasProgressed = false;
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      const isOld = first.messages.at(-1)!.micros <= this.origin.micros;
      if (!isOld && (first.previous > this.origin.micros || !this.#events.mayDeliver())) break;
      this.#held.shift();
      this.#events.holdBytes(-first.byteLength);
      if (isOld) continue;
      this.#deliver(first);
      hasProgressed = true;
    }
    if (hasProgressed) this.#progressed(nowMs);
    else this.#look(nowMs);
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(nowMs: number): void {
    if (!this.#events.mayDeliver()) return;
    this.release(nowMs);
    if (this.#gapSinceMs === undefined) return;
    // What is missing can't come while the way is cut.
    if (!this.#events.isConnected()) {
      this.#gapSinceMs = nowMs;
      return;
    }
    if (nowMs - this.#gapSinceMs >= GAP_PATIENCE_MS) this.#giveUp(nowMs);
  }

  /** Frees what waits. */
  discard(): void {
    for (const { byteLength } of this.#held) this.#events.holdBytes(-byteLength);
    this.#held = [];
  }

  #deliver({ messages }: RemoteBatch): void {
    const { origin } = this;
    for (const message of messages) {
      if (message.micros <= origin.micros) continue;
      origin.micros = message.micros;
      this.#events.deliver(origin, message);
    }
  }

  #hold(batch: RemoteBatch, nowMs: number): void {
    let at = this.#held.length;
    while (at > 0 && this.#held[at - 1]!.previous > batch.previous) at--;
    if (this.#held[at - 1]?.previous === batch.previous) return;
    // What doesn't fit is missing once its machine says that it was sent, and then asked for.
    if (!this.#events.holdBytes(batch.byteLength)) return;
    this.#held.splice(at, 0, { ...batch, sinceMs: nowMs });
  }

  #progressed(nowMs: number): void {
    if (this.#gapSinceMs !== undefined) this.#gapSinceMs = nowMs;
    this.#look(nowMs);
  }

  /** Looks whether something is missing, and asks for it. */
  #look(nowMs: number): void {
    const { origin } = this;
    const first = this.#held[0];
    const isMissing = first === undefined
      ? this.#stated > origin.micros
      : first.previous > origin.micros;
    if (!isMissing) {
      this.#gapSinceMs = undefined;
      if (first === undefined && this.#end !== undefined) {
        this.#events.onEnded(origin, this.#end.how, this.#end.micros);
      }
      return;
    }
    if (this.#gapSinceMs === undefined) {
      this.#gapSinceMs = nowMs;
      this.#events.onGap();
    }
    if (nowMs - this.#askedMs < ASK_AGAIN_MS || !this.#events.mayDeliver()) return;
    this.#askedMs = nowMs;
    this.#events.ask(origin, origin.micros);
  }

  /** Goes on without what is missing. */
  #giveUp(nowMs: number): void {
    const first = this.#held[0];
    const sinceMs = this.#gapSinceMs ?? nowMs;
    this.#gapSinceMs = undefined;
    // A machine says how far it is after it has sent that. So it hasn't sent what it doesn't know of.
    const isForged = first !== undefined && first.previous > this.#stated &&
      first.sinceMs < this.#statedMs;
    if (isForged) {
      this.#held.shift();
      this.#events.holdBytes(-first.byteLength);
      this.#events.onForged(this.origin);
    } else this.#leap(first?.previous ?? this.#stated);
    this.release(nowMs);
    // What was asked for was all behind the first gap: messages behind a second one have waited as long.
    const next = this.#held[0];
    if (this.#gapSinceMs !== undefined && next !== undefined) {
      this.#gapSinceMs = Math.max(sinceMs, next.sinceMs);
    }
  }

  #leap(to: number): void {
    const { origin } = this;
    const after = origin.micros;
    origin.micros = to;
    this.#events.onHole(origin, after, to);
  }
}
