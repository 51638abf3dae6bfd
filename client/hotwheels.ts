/**
 * The client: one connection that comes back, its topics and its publishes.
 *
 * @module
 */

import type { ErrorCode } from "../protocol/errors.ts";
import { parseTimestamp } from "../protocol/timestamp.ts";
import { parseAddress, type ServerAddress } from "./connection/address.ts";
import { ClosedError, isRefusal } from "./api/errors.ts";
import { isOwnFrame, Link } from "./connection/link.ts";
import { type ConnectOptions, readOptions, type Settings } from "./api/options.ts";
import { type OutgoingMessage, Publishes, type PublishOptions, type Receipt } from "./publishes.ts";
import { type Status, Statuses } from "./api/statuses.ts";
import {
  type Messages,
  readSubscribe,
  type SubscribeOptions,
  Subscription,
} from "./subscription.ts";
import { Topics } from "./topics.ts";
import type { Dial } from "./connection/transport.ts";

/**
 * So many bytes may wait for a reader while the server still has to answer something: more than a server
 * and the sockets hold in front of the answer, unless they are told to.
 */
const BYTES_BEFORE_ANSWER = 32 * 1024 * 1024;

/** The faults that a server may find in a subscribe. */
const SUBSCRIBE_FAULTS: readonly ErrorCode[] = ["too_many_topics", "bad_frame", "frame_too_large"];

/** A client of one server, or of several that are one service. */
export interface Hotwheels {
  /**
   * Subscribes to a topic, at once. Whatever comes waits for the iterator's reader, so an iterator that
   * isn't read holds up the others. `break` unsubscribes. Several iterators of one topic are one
   * subscription.
   *
   * @throws {RangeError} if the topic or an option isn't valid.
   */
  subscribe(topic: string, options?: SubscribeOptions): Messages;
  /**
   * Publishes a message. The promise resolves with its receipt, when the server has handed it to all
   * subscribers.
   *
   * @param message An object, or the JSON text of one, which is sent as it is spelled: so numbers keep their
   * digits, and members their order.
   * @throws {RangeError} (rejects) if the message isn't valid.
   * @throws {OutcomeUnknownError} (rejects) if the connection broke before the receipt came. It isn't sent
   * again.
   * @throws {OfflineError} (rejects) if it wasn't sent, since there is no connection.
   * @throws {BufferFullError} (rejects) if it wasn't sent, since too much waits.
   * @throws {ServerError} (rejects) if the server refuses the message.
   */
  publish(
    message: OutgoingMessage | string,
    options: PublishOptions & { readonly receipt: false },
  ): Promise<undefined>;
  /** Publishes a message, and resolves with its receipt. */
  publish(
    message: OutgoingMessage | string,
    options?: PublishOptions & { readonly receipt?: true | undefined },
  ): Promise<Receipt>;
  /** Publishes a message, and resolves with its receipt if the options ask for one. */
  publish(
    message: OutgoingMessage | string,
    options: PublishOptions,
  ): Promise<Receipt | undefined>;
  /** The events of the connection and its subscriptions, beginning with the connection's present status. */
  statuses(): AsyncIterableIterator<Status>;
  /**
   * Waits for the receipts of what was published, then closes the connection. Iterators end behind what
   * has arrived. Resolves when the connection is closed, after `timeout` at the latest.
   */
  close(): Promise<void>;
}

/** Connects; see `connect` of the module. */
export async function connectBy(
  dial: Dial,
  urls: string | URL | readonly (string | URL)[],
  options: ConnectOptions,
): Promise<Hotwheels> {
  const settings = readOptions(options);
  const addresses = (Array.isArray(urls) ? urls : [urls]).map(parseAddress);
  if (addresses.length === 0) throw new RangeError("There is no URL to connect to");
  settings.signal?.throwIfAborted();
  const client = new Client(addresses, settings, dial);
  await client.opened;
  return client;
}

class Client implements Hotwheels {
  /** It was open once; rejects if it never will be. */
  readonly opened: Promise<void>;
  readonly #settings: Settings;
  readonly #link: Link;
  readonly #topics: Topics;
  readonly #publishes: Publishes;
  readonly #statuses: Statuses;
  #onOpened!: () => void;
  #onNever!: (error: unknown) => void;
  readonly #ended: Promise<void>;
  #onEnded!: () => void;
  /** True from an answer that was far behind until the readers have caught up. */
  #staysForAnswers = false;
  /** The reason why it can't be used any more. */
  #end: { readonly reason: unknown } | undefined;

  constructor(addresses: ServerAddress[], settings: Settings, dial: Dial) {
    this.#settings = settings;
    this.opened = new Promise((resolve, reject) => {
      this.#onOpened = resolve;
      this.#onNever = reject;
    });
    this.#ended = new Promise((resolve) => this.#onEnded = resolve);
    this.#statuses = new Statuses(settings.onStatus);
    const link = new Link(addresses, settings, {
      onOpen: () => this.#onOpen(),
      onFrame: (frame, json) => this.#onFrame(frame, json),
      onDrain: () => this.#publishes.flush(),
      onBroken: (error) => {
        const isAboutSubscribe = isRefusal(error, SUBSCRIBE_FAULTS) &&
          (error.code === "too_many_topics" || !this.#publishes.hasSent);
        this.#publishes.onBroken(error, this.#topics.isAsking);
        this.#topics.onBroken(isAboutSubscribe ? error : undefined);
      },
      onEnd: (error) => this.#onEnd(error),
      onStatus: (status) => this.#statuses.tell(status),
      isSendDue: () => this.#publishes.isWaiting,
    }, dial);
    this.#link = link;
    this.#topics = new Topics(link, (status) => this.#statuses.tell(status));
    this.#publishes = new Publishes(link, settings.publishBuffer, settings.pingAfter);
    settings.signal?.addEventListener("abort", this.#abort);
    link.start();
  }

  readonly #abort = () => {
    this.#end ??= { reason: this.#settings.signal!.reason };
    this.#link.end(this.#settings.signal!.reason);
  };

  subscribe(topic: string, options: SubscribeOptions = {}): Messages {
    const { request, throwsOnGap, signal } = readSubscribe(topic, options);
    const onAbort = () => {
      this.#topics.remove(subscription);
      subscription.fail(signal!.reason);
      this.#goOn();
    };
    const subscription = new Subscription(topic, request, throwsOnGap, {
      onTaken: () => this.#goOn(),
      onOver: () => signal?.removeEventListener("abort", onAbort),
      onReturn: () => {
        this.#topics.remove(subscription);
        this.#goOn();
      },
    });
    if (this.#end !== undefined) subscription.fail(this.#end.reason);
    else if (signal?.aborted) subscription.fail(signal.reason);
    else {
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#topics.add(subscription);
      // It isn't to wait for the readers of others.
      if (this.#link.isHeld) this.#link.resume();
    }
    return subscription;
  }

  publish(
    message: OutgoingMessage | string,
    options: PublishOptions & { readonly receipt: false },
  ): Promise<undefined>;
  publish(message: OutgoingMessage | string, options?: PublishOptions): Promise<Receipt>;
  publish(
    message: OutgoingMessage | string,
    options: PublishOptions,
  ): Promise<Receipt | undefined>;
  async publish(
    message: OutgoingMessage | string,
    options: PublishOptions = {},
  ): Promise<Receipt | undefined> {
    if (this.#end !== undefined) throw this.#end.reason;
    // Where its answer would be too far away again, it isn't worth coming back for.
    const isTooFar = this.#link.isHeld && this.#fullest() > this.#mostBeforeAnswer / 2;
    const outcome = this.#publishes.publish(
      message,
      isTooFar ? { ...options, offline: "fail" } : options,
    );
    // A reader may wait for it.
    if (this.#link.isHeld && this.#publishes.isWaiting) this.#link.resume();
    return await outcome;
  }

  statuses(): AsyncIterableIterator<Status> {
    return this.#statuses.iterate();
  }

  async close(): Promise<void> {
    this.#end ??= { reason: new ClosedError("The client is closed") };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => timer = setTimeout(resolve, this.#settings.timeout));
    // A connection that isn't read brings no receipts.
    this.#link.readOn();
    await Promise.race([this.#publishes.idle(), late]);
    clearTimeout(timer);
    this.#link.close();
    await this.#ended;
  }

  #onOpen(): void {
    this.#onOpened();
    this.#topics.subscribeAll();
    this.#publishes.flush();
    this.#holdOn();
  }

  #onFrame(frame: "ACK" | Record<string, unknown>, json: string): void {
    this.#take(frame, json);
    this.#holdOn();
  }

  #take(frame: "ACK" | Record<string, unknown>, json: string): void {
    if (frame === "ACK") return this.#topics.onAck();
    if (isOwnFrame(frame, "receipt")) {
      return this.#publishes.onReceipt(frame["receipt"], frame["timestamp"]);
    }
    if (isOwnFrame(frame, "resume")) return this.#topics.onResume(frame["resume"]);
    if (isOwnFrame(frame, "from")) return this.#topics.onFrom(frame["from"]);
    const { timestamp, ...message } = frame;
    if (typeof message["topic"] !== "string") return;
    this.#topics.onMessage({
      message: message as { topic: string },
      timestamp: parseTimestamp(timestamp) ?? NaN,
      json,
    });
  }

  /**
   * Reads no more while a reader is far behind. It may wait for an answer itself, so that comes first, as
   * far as there is room.
   */
  #holdOn(): void {
    const size = this.#fullest();
    if (this.#end !== undefined || size <= this.#settings.buffer) return;
    const isAwaiting = this.#link.isAwaiting;
    // To close and to come back for each answer would take longer than to stay.
    if (isAwaiting && !this.#link.canPause) this.#staysForAnswers = true;
    const mayGoOn = isAwaiting || this.#staysForAnswers;
    if (!mayGoOn || size > this.#mostBeforeAnswer) this.#link.pause();
  }

  /** The most bytes for one reader while the server still has to answer something. */
  get #mostBeforeAnswer(): number {
    return Math.max(this.#settings.buffer, BYTES_BEFORE_ANSWER);
  }

  /** Reads on, or connects again, when no reader is far behind. */
  #goOn(): void {
    this.#link.noteTaken();
    if (this.#end !== undefined || this.#fullest() > this.#settings.buffer / 2) return;
    this.#staysForAnswers = false;
    this.#link.resume();
  }

  #fullest(): number {
    let size = 0;
    for (const subscription of this.#topics.all()) size = Math.max(size, subscription.size);
    return size;
  }

  #onEnd(error: unknown): void {
    this.#settings.signal?.removeEventListener("abort", this.#abort);
    const isClosed = error === undefined;
    this.#end ??= { reason: error };
    const { reason } = this.#end;
    this.#publishes.end(
      reason instanceof Error ? reason : new ClosedError("The client is closed"),
      reason,
    );
    for (const subscription of [...this.#topics.all()]) {
      if (isClosed) subscription.end();
      else subscription.fail(reason);
    }
    this.#statuses.end();
    this.#onNever(reason);
    this.#onEnded();
  }
}
