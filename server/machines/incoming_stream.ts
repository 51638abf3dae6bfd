import type { Origin } from "../history/origins.ts";
import type { Stretch } from "./wire/frames.ts";
import {
  ASK_AGAIN_MS,
  GAP_PATIENCE_MS,
  MAX_ASK_AGAIN_MS,
  MAX_GAPS_ASKED_FOR,
  TAIL_PATIENCE_MS,
} from "./wire/limits.ts";
import type { RemoteMessage } from "./wire/messages.ts";

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
  /** The same by {@linkcode StreamEvents.patienceMs}. */
  readonly heldAtMs: number;
}

/** Why messages can't be had any more, in words. */
export type HoleReason =
  | "their machine doesn't keep them any more"
  | "they haven't come in time"
  | "their machine is dead";

/** The events of a stream, and its questions to its inbox. */
export interface StreamEvents {
  /** True if messages may be delivered now; otherwise they wait. */
  readonly mayDeliver: () => boolean;
  /**
   * A clock that goes on only while what is missing may come and be delivered, in milliseconds. So no wait is ended
   * by a lost connection, by want of memory, or by a process that stood still.
   */
  readonly patienceMs: () => number;
  deliver(origin: Origin, message: RemoteMessage): void;
  /** Asks for messages. Returns the bytes that the answer has at least, unless it brings all. */
  ask(origin: Origin, gaps: readonly Stretch[]): number;
  /** All that was asked for last is here: there is room on the way for what other streams ask for. */
  onAnswered(nowMs: number): void;
  /** Something is missing. */
  onGap(): void;
  /** Messages up to this timestamp can't be had any more. */
  onHole(origin: Origin, after: number, to: number, why: HoleReason): void;
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
  /** Since when something is missing, by the clock of patience; `undefined` if nothing is. */
  #gapSinceMs: number | undefined;
  /**
   * Since when the gap was there that was given up last, by the same clock; `undefined` once something has come. All
   * behind it was asked for with it, so messages behind a further gap don't wait once more.
   */
  #givenUpSinceMs: number | undefined;
  /** What it has asked for last, and when. */
  #asked: readonly Stretch[] = [];
  #askedMs = -Infinity;
  /** Bytes of the answer that have yet to come, about. */
  #owedBytes = 0;
  /** When it asked first since something came, and the milliseconds until an answer to that began to come. */
  #firstAskedMs = -Infinity;
  #answerMs = 0;
  #progressedMs = -Infinity;
  /** How often it has asked since something came that was missing. */
  #asksInVain = 0;
  #end: { readonly how: "ended" | "crashed"; readonly micros: number } | undefined;
  /** True once its machine counts as dead. */
  #isAbandoned = false;

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

  /** True if something is missing. */
  get isBehind(): boolean {
    return this.#gapSinceMs !== undefined;
  }

  /** True if messages were asked for a moment ago, perhaps with others around them. */
  isAskedFor(gaps: readonly Stretch[], nowMs: number): boolean {
    return nowMs - this.#askedMs < ASK_AGAIN_MS && gaps.every(({ after, to }) => {
      return this.#asked.some((one) => one.after <= after && to <= one.to);
    });
  }

  /** Takes a batch, whose memory it may keep. @returns False if all of it was here already. */
  take(batch: RemoteBatch, nowMs: number): boolean {
    const { origin } = this;
    this.#isAbandoned = false;
    if (batch.messages.at(-1)!.micros <= origin.micros) return false;
    // Messages that fill a gap must get past those behind it: there may be no room for them to wait.
    if (batch.previous <= origin.micros && this.#events.mayDeliver()) {
      this.#deliver(batch);
      this.#noteAnswer(batch.byteLength, nowMs);
      this.#progressed(nowMs);
    } else this.#hold(batch, nowMs);
    this.release(nowMs);
    return true;
  }

  /** A batch has come for which there is no room. */
  noteDropped(nowMs: number): void {
    this.#isAbandoned = false;
    this.release(nowMs);
  }

  /** Asks at once for what is missing, unless it did so a moment ago. */
  hurry(nowMs: number): void {
    const isRecent = nowMs - this.#askedMs < ASK_AGAIN_MS;
    if (this.isBehind && !isRecent && this.#events.mayDeliver()) this.#ask(nowMs);
  }

  /** Its machine says how far it is. */
  state(last: number, nowMs: number): void {
    this.#isAbandoned = false;
    this.#stated = Math.max(this.#stated, last);
    this.#statedMs = nowMs;
    this.#look(nowMs);
  }

  /** Its machine says that its process has ended. The latest end that it says is that which clients may know. */
  end(how: "ended" | "crashed", micros: number, nowMs: number): void {
    this.#end = { how: this.#end?.how ?? how, micros: Math.max(this.#end?.micros ?? 0, micros) };
    this.#look(nowMs);
  }

  /** Its machine doesn't keep the messages up to a timestamp any more. */
  skip(to: number, nowMs: number): void {
    const { origin } = this;
    while (to > origin.micros) {
      // Messages that have come all the same aren't lost.
      const previous = this.#held[0]?.previous ?? Infinity;
      if (previous > origin.micros) {
        this.#leap(Math.min(to, previous), "their machine doesn't keep them any more");
      }
      const before = origin.micros;
      this.release(nowMs);
      if (origin.micros === before && before < to && this.#held.length > 0) return;
    }
    this.release(nowMs);
  }

  /**
   * Its machine is dead: what is missing doesn't come any more. What waits is delivered as soon as it may be, and then
   * its process has crashed, unless the machine is heard again before.
   */
  abandon(nowMs: number): void {
    this.#isAbandoned = true;
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
    this.#look(nowMs);
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(nowMs: number): void {
    if (!this.#events.mayDeliver()) return;
    this.release(nowMs);
    if (this.#gapSinceMs === undefined) return;
    const first = this.#held[0];
    const sinceMs = Math.max(this.#gapSinceMs, first?.heldAtMs ?? 0);
    const patienceMs = first === undefined ? TAIL_PATIENCE_MS : GAP_PATIENCE_MS;
    if (this.#events.patienceMs() - sinceMs >= patienceMs) this.#giveUp(nowMs);
  }

  /** Frees what waits. */
  discard(): void {
    for (const { byteLength } of this.#held) this.#events.holdBytes(-byteLength);
    this.#held = [];
  }

  #deliver({ messages }: Pick<RemoteBatch, "messages">): void {
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
    // A batch that doesn't fit is missing once its machine says that it was sent, and is asked for then.
    if (!this.#events.holdBytes(batch.byteLength)) return;
    this.#held.splice(at, 0, { ...batch, sinceMs: nowMs, heldAtMs: this.#events.patienceMs() });
  }

  #progressed(nowMs: number): void {
    if (this.#gapSinceMs === undefined) return;
    this.#gapSinceMs = this.#events.patienceMs();
    this.#givenUpSinceMs = undefined;
    if (this.#asksInVain > 0) this.#answerMs = nowMs - this.#firstAskedMs;
    this.#progressedMs = nowMs;
    this.#asksInVain = 0;
  }

  /** Looks whether something is missing, and asks for it. */
  #look(nowMs: number): void {
    const { origin } = this;
    const first = this.#held[0];
    const isMissing = first === undefined
      ? this.#stated > origin.micros
      : first.previous > origin.micros;
    if (!isMissing) {
      if (this.isBehind) this.#noteAnswer(Infinity, nowMs);
      this.#gapSinceMs = undefined;
      if (first !== undefined) return;
      this.#givenUpSinceMs = undefined;
      if (this.#end !== undefined) {
        this.#events.onEnded(origin, this.#end.how, this.#end.micros);
      } else if (this.#isAbandoned) this.#events.onEnded(origin, "crashed", origin.micros + 1);
      return;
    }
    if (this.#isAbandoned) {
      this.#leap(first?.previous ?? this.#stated, "their machine is dead");
      return this.release(nowMs);
    }
    if (this.#gapSinceMs === undefined) {
      this.#gapSinceMs = this.#givenUpSinceMs ?? this.#events.patienceMs();
      this.#asksInVain = 0;
      this.#events.onGap();
    }
    if (this.#mayAsk(nowMs) && this.#events.mayDeliver()) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    this.#asked = this.#missing();
    this.#askedMs = nowMs;
    if (this.#asksInVain++ === 0) this.#firstAskedMs = nowMs;
    this.#owedBytes = this.#events.ask(this.origin, this.#asked);
  }

  /** Notes that bytes have come that were missing. */
  #noteAnswer(bytes: number, nowMs: number): void {
    if (this.#owedBytes <= 0) return;
    this.#owedBytes -= bytes;
    if (this.#owedBytes <= 0) this.#events.onAnswered(nowMs);
  }

  /** False while an answer may be still coming, or on a busy way. */
  #mayAsk(nowMs: number): boolean {
    const { micros } = this.origin;
    const isAskedFor = this.#asked.some(({ after, to }) => after <= micros && micros < to);
    if (!isAskedFor || this.#owedBytes <= 0) return true;
    const sinceMs = nowMs - Math.max(this.#askedMs, this.#progressedMs);
    // Longer than answers take to come, and to go on.
    const leastMs = Math.max(ASK_AGAIN_MS, 2 * this.#answerMs);
    const doublings = Math.max(this.#asksInVain - 1, 0);
    return sinceMs >= Math.min(leastMs * 2 ** doublings, MAX_ASK_AGAIN_MS);
  }

  /** What is missing in front of what has come: the first gaps; or all behind what has come. */
  #missing(): Stretch[] {
    let after = this.origin.micros;
    const missing: Stretch[] = [];
    for (const { previous, messages } of this.#held) {
      if (missing.length === MAX_GAPS_ASKED_FOR) return missing;
      if (previous > after) missing.push({ after, to: previous });
      after = Math.max(after, messages.at(-1)!.micros);
    }
    return missing.length > 0 ? missing : [{ after, to: Infinity }];
  }

  /** Goes on without what is missing. */
  #giveUp(nowMs: number): void {
    const first = this.#held[0];
    this.#givenUpSinceMs = this.#gapSinceMs;
    this.#gapSinceMs = undefined;
    // A machine says how far it is after it has sent that. So it hasn't sent what it doesn't know of.
    const isForged = first !== undefined && first.previous > this.#stated &&
      first.sinceMs < this.#statedMs;
    if (isForged) {
      this.#held.shift();
      this.#events.holdBytes(-first.byteLength);
      this.#events.onForged(this.origin);
    } else this.#leap(first?.previous ?? this.#stated, "they haven't come in time");
    this.release(nowMs);
  }

  #leap(to: number, why: HoleReason): void {
    const { origin } = this;
    const after = origin.micros;
    origin.micros = to;
    this.#events.onHole(origin, after, to, why);
  }
}
