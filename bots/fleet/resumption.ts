/**
 * What bots that come back get of the messages that they missed.
 *
 * @module
 */

import { parseObject } from "../../protocol/json/parse_object.ts";
import { Buffer } from "node:buffer";
import { encodeResumingSubscribe } from "../../protocol/client_encoder.ts";
import { parseTimestamp } from "../../protocol/timestamp.ts";
import { NumberedMessage, textOf } from "../dialects/published_message.ts";
import { clockMs } from "../measures/clock.ts";
import type { Tally } from "../measures/tally.ts";

/** The plan of a storm whose bots resume. Plain JSON. */
export interface ResumptionPlan {
  readonly topic: string;
  /** The data of each message. */
  readonly data: string;
  /** The number of messages that are published. */
  readonly rounds: number;
}

/** The result of a storm for the bots of one process that resumed. */
export interface GroupResumption {
  /** The server's answers to bots that said where they were, by reason. */
  readonly reasons: Tally;
  /** Answers that name origins which crashed. */
  readonly crashed: number;
  /** The number of messages that each of these answers announced. */
  readonly missed: readonly number[];
  /** The moment at which the last bot had what it had missed, by {@linkcode clockMs}; 0 for never. */
  readonly lastLevelAtMs: number;
  /** Bots that haven't got all that they were told to have missed. */
  readonly behind: number;
  /** Connected bots that the server promised everything, each time they came back. */
  readonly whole: number;
  /** For each message the number of those bots that have it. */
  readonly had: readonly number[];
  /** Messages of which any bot knows. */
  readonly seen: readonly number[];
  readonly duplicates: number;
  /** Frames that aren't as published, or not in their origin's order. */
  readonly wrong: number;
}

/** The fields of the server's `resume` frame. */
interface ResumeFrame {
  readonly recovered: boolean;
  readonly reason: string;
  readonly missed: number;
  readonly at: Readonly<Record<string, number>>;
  readonly crashed?: readonly string[];
}

const BRACE = "{".charCodeAt(0);

/** Follows the positions of all bots of a process, and checks what each of them gets. */
export class Resumption {
  readonly #plan: ResumptionPlan;
  readonly #message: NumberedMessage;
  /** By bot, its position without the origin that sends now. Bots that were told the same share it. */
  readonly #at: (Readonly<Record<string, number>> | null)[];
  /** By bot, the origin that sends now. */
  readonly #origins: (string | null)[];
  /** By bot, the timestamp of the last message of that origin; 0 for none. */
  readonly #micros: Float64Array;
  /** By bot, the number of the message that most likely comes next. */
  readonly #next: Uint32Array;
  /** By bot, the messages that it was told to have missed and hasn't got; -1 before it is told. */
  readonly #due: Int32Array;
  /** By bot, 1 once the server said that something is lost for it. */
  readonly #isBroken: Uint8Array;
  /** By bot and message, a bit for each that it has. */
  readonly #had: Uint8Array;
  readonly #rowBytes: number;
  readonly #known: (Uint8Array | undefined)[];
  readonly #knownMicros: Float64Array;
  readonly #reasons: Tally = {};
  readonly #missed: number[] = [];
  #crashed = 0;
  #lastLevelAtMs = 0;
  #duplicates = 0;
  #wrong = 0;
  /** The last answer, since bots that come back together are told the same. */
  #lastAnswer = { text: "", frame: null as ResumeFrame | null };

  constructor(size: number, plan: ResumptionPlan) {
    this.#plan = plan;
    this.#message = new NumberedMessage(plan);
    this.#at = new Array(size).fill(null);
    this.#origins = new Array(size).fill(null);
    this.#micros = new Float64Array(size);
    this.#next = new Uint32Array(size);
    this.#due = new Int32Array(size).fill(-1);
    this.#isBroken = new Uint8Array(size);
    this.#rowBytes = Math.ceil(plan.rounds / 8);
    this.#had = new Uint8Array(size * this.#rowBytes);
    this.#known = new Array(plan.rounds);
    this.#knownMicros = new Float64Array(plan.rounds);
  }

  /** The bytes with which a bot subscribes: from now on, or behind its position. */
  subscribe(index: number): Uint8Array {
    const at = this.#positionOf(index);
    this.#due[index] = -1;
    this.#origins[index] = null;
    const request = at === null
      ? { from: "new" as const }
      : { from: "at" as const, position: new Map(Object.entries(at)) };
    this.#at[index] = at;
    return encodeResumingSubscribe(this.#plan.topic, request);
  }

  /**
   * Takes a frame that a bot received.
   *
   * @param frame With its terminator; lent until this returns.
   * @returns False if it is of another kind.
   */
  take(index: number, frame: Uint8Array): boolean {
    const next = this.#next[index]!;
    const known = this.#known[next];
    if (known !== undefined && Buffer.compare(frame, known) === 0) {
      this.#onMessage(index, next, this.#knownMicros[next]!);
      return true;
    }
    if (frame[0] !== BRACE) return false;
    const text = textOf(frame.subarray(0, -1));
    const members = parseObject(text);
    if (members === undefined) return false;
    if ("resume" in members) this.#onResume(index, text!);
    else if ("from" in members) this.#onFrom(index, (members["from"] as { origin: string }).origin);
    else if ("topic" in members) this.#onUnknown(index, members, frame);
    else return false;
    return true;
  }

  /** A bot is subscribed. */
  onSubscribed(index: number): void {
    if (this.#due[index] === 0) this.#lastLevelAtMs = clockMs();
    if (this.#due[index] !== -1) return;
    // The server knows no resume. The first subscription has nothing to come back to.
    if (this.#isBroken[index] === 1) this.#count("unsupported");
    this.#isBroken[index] = 1;
    this.#due[index] = 0;
  }

  /** True if a bot hasn't got all yet that it was told to have missed. */
  isBehind(index: number): boolean {
    return this.#due[index]! > 0;
  }

  /** @param isLive By bot, 1 if it is subscribed. */
  end(isLive: Uint8Array): GroupResumption {
    const had = new Array<number>(this.#plan.rounds).fill(0);
    let whole = 0;
    let behind = 0;
    for (let index = 0; index < isLive.length; index++) {
      if (isLive[index] === 0) continue;
      if (this.isBehind(index)) behind++;
      if (this.#isBroken[index] === 1) continue;
      whole++;
      for (let number = 0; number < had.length; number++) {
        if (this.#hasHad(index, number)) had[number]!++;
      }
    }
    return {
      reasons: this.#reasons,
      crashed: this.#crashed,
      missed: this.#missed,
      lastLevelAtMs: this.#lastLevelAtMs,
      behind,
      whole,
      had,
      seen: Array.from(this.#known.keys()).filter((number) => this.#known[number] !== undefined),
      duplicates: this.#duplicates,
      wrong: this.#wrong,
    };
  }

  #onResume(index: number, text: string): void {
    const { recovered, reason, missed, at, crashed } = this.#answerIn(text);
    if (this.#at[index] !== null) {
      this.#count(reason);
      this.#missed.push(missed);
      if (crashed !== undefined) this.#crashed++;
      if (!recovered || crashed !== undefined) this.#isBroken[index] = 1;
    }
    this.#at[index] = at;
    this.#origins[index] = null;
    this.#due[index] = missed;
  }

  #count(reason: string): void {
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
  }

  #answerIn(text: string): ResumeFrame {
    const told = text.slice(text.indexOf('"resume":'));
    if (this.#lastAnswer.text !== told) {
      this.#lastAnswer = { text: told, frame: JSON.parse(text).resume as ResumeFrame };
    }
    return this.#lastAnswer.frame!;
  }

  #onFrom(index: number, origin: string): void {
    if (this.#origins[index] === origin) return;
    const at = this.#positionOf(index);
    this.#at[index] = at;
    this.#origins[index] = origin;
    this.#micros[index] = at?.[origin] ?? 0;
  }

  #onUnknown(index: number, members: Readonly<Record<string, unknown>>, frame: Uint8Array): void {
    const micros = parseTimestamp(members["timestamp"]);
    const number = this.#message.numberOf(members);
    const isOurs = number !== undefined && number < this.#plan.rounds;
    if (micros === undefined || !isOurs) return void this.#wrong++;
    const known = this.#known[number];
    if (known === undefined) {
      this.#known[number] = frame.slice();
      this.#knownMicros[number] = micros;
    } else if (Buffer.compare(known, frame) !== 0) return void this.#wrong++;
    this.#onMessage(index, number, micros);
  }

  #onMessage(index: number, number: number, micros: number): void {
    this.#next[index] = number + 1;
    if (this.#hasHad(index, number)) this.#duplicates++;
    else if (micros <= this.#micros[index]! && this.#origins[index] !== null) this.#wrong++;
    this.#had[index * this.#rowBytes + (number >> 3)]! |= 1 << (number & 7);
    this.#micros[index] = Math.max(micros, this.#micros[index]!);
    if (this.#due[index]! > 0 && --this.#due[index]! === 0) this.#lastLevelAtMs = clockMs();
  }

  #hasHad(index: number, number: number): boolean {
    return (this.#had[index * this.#rowBytes + (number >> 3)]! & 1 << (number & 7)) !== 0;
  }

  #positionOf(index: number): Readonly<Record<string, number>> | null {
    const at = this.#at[index] ?? null;
    const origin = this.#origins[index] ?? null;
    if (at === null || origin === null || this.#micros[index] === 0) return at;
    return { ...at, [origin]: this.#micros[index]! };
  }
}
