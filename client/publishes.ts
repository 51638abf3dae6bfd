/**
 * Messages on their way to the server, and the receipts that come back.
 *
 * @module
 */

import { encodePublish, encodePublishForReceipt } from "../protocol/client_encoder.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import { parseObject } from "../protocol/json/parse_object.ts";
import { parseTimestamp } from "../protocol/timestamp.ts";
import { topicProblem } from "../protocol/topic.ts";
import {
  BufferFullError,
  ForbiddenError,
  isRefusal,
  OfflineError,
  OutcomeUnknownError,
} from "./api/errors.ts";
import { Fifo } from "./api/fifo.ts";
import { readSignal } from "./api/options.ts";

/** A message to publish: sent as `JSON.stringify` spells it. The server adds the timestamp. */
export interface OutgoingMessage {
  /** 1 to 256 bytes of UTF-8. */
  readonly topic: string;
  /** None: the server adds it. */
  readonly timestamp?: never;
  /** Anything else that JSON can express. */
  // deno-lint-ignore no-explicit-any -- of `unknown`, messages that have an interface wouldn't fit
  readonly [member: string]: any;
}

/** The server has accepted a message, and handed it to all of its subscribers. */
export interface Receipt {
  /** Subscribers when it was accepted: the sum of the other three. */
  readonly matched: number;
  /** Subscribers that have been sent everything. */
  readonly written: number;
  /** Subscribers that have not been sent everything yet. */
  readonly queued: number;
  /** Subscribers that were gone, or closed since they didn't keep up. */
  readonly evicted: number;
  /** The message's timestamp, as its subscribers get it: whole microseconds since the Unix epoch. */
  readonly timestamp: number;
  /**
   * If the server is a cluster of machines: how many others were asked to count, and how many did. The counts are
   * those of the machines that did.
   */
  readonly peers?: { readonly asked: number; readonly answered: number };
}

/** The options of a publish. */
export interface PublishOptions {
  /** `false` asks for no receipt: the promise resolves when the message is handed to the socket. */
  readonly receipt?: boolean | undefined;
  /** `wait` lets the message wait for a connection; by default the promise rejects without one. */
  readonly offline?: "wait" | "fail" | undefined;
  /** Gives up waiting. A message that was sent already may be accepted all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** The connection, as publishing uses it. */
export interface PublishesLink {
  readonly isOpen: boolean;
  readonly isFull: boolean;
  readonly silentMs: number;
  send(frame: Uint8Array, isAsking: boolean): void;
}

interface Job {
  readonly topic: string;
  readonly json: string;
  readonly wantsReceipt: boolean;
  readonly waitsOffline: boolean;
  readonly resolve: (receipt: Receipt | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** The faults that a server may find in a message. */
const PUBLISH_FAULTS: readonly ErrorCode[] = ["bad_message", "bad_frame", "frame_too_large"];

export class Publishes {
  readonly #link: PublishesLink;
  readonly #maxBytes: number;
  readonly #pingAfterMs: number;
  /** In the order in which they wait. */
  readonly #waiting = new Set<Job>();
  #waitingBytes = 0;
  readonly #sent = new Fifo<Job>();
  #hasSent = false;
  #onIdle: (() => void) | undefined;

  constructor(link: PublishesLink, maxBytes: number, pingAfterMs: number) {
    this.#link = link;
    this.#maxBytes = maxBytes;
    this.#pingAfterMs = pingAfterMs;
  }

  /** @throws {RangeError} if the message can't be one. */
  async publish(
    message: OutgoingMessage | string,
    options: PublishOptions,
  ): Promise<Receipt | undefined> {
    const { receipt, offline } = options ?? {};
    if (!["wait", "fail"].includes(offline ?? "fail")) {
      throw new RangeError(`offline must be "wait" or "fail", not ${JSON.stringify(offline)}`);
    }
    const signal = readSignal(options?.signal);
    const { topic, json } = readMessage(message);
    signal?.throwIfAborted();
    const waitsOffline = offline === "wait";
    const wantsReceipt = Boolean(receipt ?? true);
    if (!this.#link.isOpen && !waitsOffline) {
      throw new OfflineError(`There is no connection just now, and the message wasn't sent`);
    }
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const job = { topic, json, waitsOffline, resolve, reject, wantsReceipt };
        onAbort = () => {
          this.#take(job);
          reject(signal?.reason);
          this.#tellIdle();
        };
        signal?.addEventListener("abort", onAbort);
        this.#begin(job);
      });
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
    }
  }

  #begin(job: Job): void {
    if (this.#link.isOpen && !this.#link.isFull && this.#waiting.size === 0) {
      return this.#send(job);
    }
    if (this.#waitingBytes + job.json.length > this.#maxBytes) {
      return job.reject(new BufferFullError(this.#maxBytes));
    }
    this.#waitingBytes += job.json.length;
    this.#waiting.add(job);
  }

  /** A job waits no more, if it did. */
  #take(job: Job): void {
    if (this.#waiting.delete(job)) this.#waitingBytes -= job.json.length;
  }

  /** Sends what waits, as far as there is room. */
  flush(): void {
    for (const job of this.#waiting) {
      if (!this.#link.isOpen || this.#link.isFull) break;
      this.#take(job);
      this.#send(job);
    }
    this.#tellIdle();
  }

  #send(job: Job): void {
    // A server that has only to listen is silent, and so is one that is gone: so it is asked now and then.
    const isAsking = job.wantsReceipt || this.#link.silentMs > this.#pingAfterMs;
    if (isAsking) this.#sent.push(job);
    this.#hasSent = true;
    this.#link.send(
      isAsking ? encodePublishForReceipt(job.json) : encodePublish(job.json, { pipelined: true }),
      isAsking,
    );
    if (!job.wantsReceipt) job.resolve(undefined);
  }

  onReceipt(counts: unknown, timestamp: unknown): void {
    const { matched, written, queued, evicted, peers } = counts as Omit<Receipt, "timestamp">;
    const receipt = {
      matched,
      written,
      queued,
      evicted,
      timestamp: parseTimestamp(timestamp) ?? NaN,
      ...(peers === undefined ? {} : { peers }),
    };
    this.#sent.shift()?.resolve(receipt);
    this.#tellIdle();
  }

  /**
   * The connection has ended. Nothing is sent twice.
   *
   * @param mayBeAboutOthers True if the server may have refused another request.
   */
  onBroken(error: Error, mayBeAboutOthers: boolean): void {
    this.#hasSent = false;
    const sent = this.#sent.drain();
    // The server's fault with a message is that of the only one that it can be about.
    const isRefused = error instanceof ForbiddenError || isRefusal(error, PUBLISH_FAULTS);
    const isAbout = isRefused && sent.length === 1 && !mayBeAboutOthers;
    for (const job of sent) job.reject(isAbout ? error : new OutcomeUnknownError(job.topic, error));
    for (const job of this.#waiting) {
      if (job.waitsOffline) continue;
      this.#take(job);
      const message = "The connection broke, and the message wasn't sent";
      job.reject(new OfflineError(message, { cause: error }));
    }
    this.#tellIdle();
  }

  /** There won't be another connection. */
  end(error: Error, reason: unknown): void {
    for (const job of this.#sent.drain()) job.reject(new OutcomeUnknownError(job.topic, error));
    for (const job of this.#waiting) {
      this.#take(job);
      job.reject(reason);
    }
    this.#tellIdle();
  }

  /** True if anything waits to be sent. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** True if anything was sent on this connection. */
  get hasSent(): boolean {
    return this.#hasSent;
  }

  /** Resolves when nothing waits, neither to be sent nor for a receipt. */
  async idle(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => this.#onIdle = resolve);
  }

  get #isIdle(): boolean {
    return this.#sent.length === 0 && (this.#waiting.size === 0 || !this.#link.isOpen);
  }

  #tellIdle(): void {
    if (this.#onIdle === undefined || !this.#isIdle) return;
    this.#onIdle();
    this.#onIdle = undefined;
  }
}

/** A message's topic, and its JSON text. @throws {RangeError} if it can't be a message. */
function readMessage(message: OutgoingMessage | string): { topic: string; json: string } {
  const isText = typeof message === "string";
  const json = isText ? message : JSON.stringify(message);
  // JSON may leave out what a class has, or say something else: then the text tells what the message is.
  const isPlain = typeof message === "object" && message !== null && !Array.isArray(message) &&
    Object.prototype.propertyIsEnumerable.call(message, "topic") &&
    typeof message["toJSON"] !== "function";
  const members = isPlain ? message : parseObject(json);
  if (members === undefined) {
    throw new RangeError(
      `A message is an object with a topic, or the JSON text of one: ${
        JSON.stringify(message)
      } isn't`,
    );
  }
  const { topic, timestamp } = members;
  if (typeof topic !== "string") throw new RangeError("A message needs a topic, which is a string");
  const problem = topicProblem(topic);
  if (problem !== undefined) throw new RangeError(`The topic ${problem}`);
  if (timestamp !== undefined) {
    throw new RangeError("A message has no timestamp of its own: the server adds it");
  }
  if (isText && !json.isWellFormed()) {
    throw new RangeError("A message's text has a lone surrogate, which UTF-8 can't express");
  }
  return { topic, json };
}
