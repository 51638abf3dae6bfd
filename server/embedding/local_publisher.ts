import { ClientDecoder } from "../../protocol/client_decoder.ts";
import { encodePublish } from "../../protocol/client_encoder.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { PUBLISH } from "../access/access.ts";
import { ReceiptQueue } from "../cluster/owed_receipts.ts";
import type { Limits } from "../limits.ts";
import type { Gate, Waiter } from "../flow/gate.ts";
import { checkPublish } from "../session/client_checks.ts";
import type { SessionContext } from "../session/session_context.ts";
import { Fifo } from "../timing/fifo.ts";
import type { Receipt } from "../topics/receipts.ts";

/**
 * A message: an object with a `topic` of 1 to 256 bytes and without a `timestamp`, which is sent as
 * `JSON.stringify` spells it; or its JSON text, which is sent as it is.
 */
export type Message = string | Uint8Array | {
  readonly topic: string;
  readonly [member: string]: unknown;
};

/** The receipt of an accepted message; see {@linkcode LocalPublisher.publish}. */
export interface PublishReceipt extends Receipt {
  /** The message's timestamp, in microseconds since the Unix epoch. */
  readonly timestampMicros: number;
}

interface WaitingMessage {
  readonly topic: string;
  readonly bytes: Uint8Array;
  readonly answer: PromiseWithResolvers<PublishReceipt>;
}

/** The host program as a publisher. It waits as clients do, for readers and for memory. */
export class LocalPublisher implements Waiter {
  readonly #context: SessionContext;
  readonly #waiting = new Fifo<WaitingMessage>();
  readonly #owed = new Map<number, PromiseWithResolvers<PublishReceipt>>();
  readonly #receipts: ReceiptQueue;
  #waitingBytes = 0;
  #waitsAt: Gate | undefined;
  #isStopped = false;

  constructor(context: SessionContext) {
    this.#context = context;
    this.#receipts = new ReceiptQueue(context.receiptDesk, () => this.#settle());
  }

  /**
   * Publishes a message, after those before it.
   *
   * @param message Copied before this returns.
   * @returns What became of it, when it has been handed to all subscribers.
   * @throws {RangeError} (rejects) if the message isn't valid, or too much waits to be published.
   * @throws {Error} (rejects) if the server stops before the message's fate is known.
   */
  async publish(message: Message): Promise<PublishReceipt> {
    const { limits, budget } = this.#context;
    const { topic, bytes } = checkMessage(message, limits);
    if (this.#isStopped) throw stopped();
    if (this.#waitingBytes + bytes.byteLength > limits.maxPendingBytes) {
      throw new RangeError(
        `More than ${limits.maxPendingBytes} bytes wait to be published: await earlier promises first`,
      );
    }
    const answer = Promise.withResolvers<PublishReceipt>();
    this.#waiting.push({ topic, bytes, answer });
    this.#waitingBytes += bytes.byteLength;
    budget.countDeferred(bytes.byteLength);
    if (this.#waitsAt === undefined) this.#publishNext();
    return await answer.promise;
  }

  /** Called when the gate opens. */
  resume(): void {
    this.#waitsAt = undefined;
    this.#publishNext();
  }

  /** Publishes nothing more, and rejects what waits. */
  stop(): void {
    this.#isStopped = true;
    this.#waitsAt?.leave(this);
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      next.answer.reject(stopped());
    }
  }

  /** Rejects the promises whose receipts never came. To be called when all connections are gone. */
  end(): void {
    for (const answer of this.#owed.values()) answer.reject(stopped());
    this.#owed.clear();
  }

  #publishNext(): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      const gate = this.#gateOf(next.topic);
      if (gate !== undefined) {
        this.#waitsAt = gate;
        return gate.wait(this);
      }
      this.#take();
      this.#accept(next);
    }
  }

  #take(): WaitingMessage | undefined {
    const next = this.#waiting.shift();
    if (next === undefined) return undefined;
    this.#waitingBytes -= next.bytes.byteLength;
    this.#context.budget.countDeferred(-next.bytes.byteLength);
    return next;
  }

  /** The gate at which a publisher to a topic should wait, if any. */
  #gateOf(name: string): Gate | undefined {
    const { budget, ceiling, budgetGate, topics, backplane } = this.#context;
    if (budget.isTight || ceiling.holdsAll) return budgetGate;
    return this.#receipts.gate ?? topics.find(name)?.gate ?? backplane?.gateOf(name) ??
      backplane?.gate;
  }

  #accept({ topic, bytes, answer }: WaitingMessage): void {
    const { timestamps, counters, origins, topics, backplane, watchedTopics } = this.#context;
    counters.messagesIn++;
    watchedTopics?.countMessage(topic);
    const micros = origins.own.micros = timestamps.next();
    this.#owed.set(micros, answer);
    const owed = this.#receipts.owe(micros);
    backplane?.forwardForReceipt(topic, bytes, owed);
    topics.publish(origins.own, topic, micros, bytes, owed);
  }

  #settle(): void {
    for (let owed = this.#receipts.takeSettled(); owed; owed = this.#receipts.takeSettled()) {
      const { micros, matched, written, queued, evicted } = owed;
      this.#owed.get(micros)?.resolve({
        timestampMicros: micros,
        matched,
        written,
        queued,
        evicted,
      });
      this.#owed.delete(micros);
    }
  }
}

/**
 * Checks a message as a client's is checked.
 *
 * @returns Its topic, and a copy of its bytes.
 * @throws {RangeError} if it isn't valid.
 */
export function checkMessage(
  message: Message,
  limits: Limits,
): { readonly topic: string; readonly bytes: Uint8Array } {
  const isText = typeof message === "string" || message instanceof Uint8Array;
  const decoder = new ClientDecoder(limits);
  const found = new FoundMessage();
  try {
    const text = isText ? message : JSON.stringify(message);
    decoder.push(encodePublish(text, { pipelined: true }), found);
    const { topic, bytes } = found;
    if (found.count !== 1) throw new RangeError("A message must be one JSON object");
    checkPublish(topic, PUBLISH, limits);
    return { topic, bytes };
  } catch (error) {
    decoder.discard();
    if (error instanceof ProtocolError) throw new RangeError(error.message, { cause: error });
    throw error;
  }
}

/** Takes the message out of what a decoder finds. */
class FoundMessage implements ClientFrames {
  topic = "";
  bytes = new Uint8Array(0);
  count = 0;

  onPublish(topic: string, message: Uint8Array): void {
    this.topic = topic;
    this.bytes = message.slice();
    this.count++;
  }

  onPublishForReceipt(): void {
    this.count = Infinity;
  }

  onSubscribe(): void {
    this.count = Infinity;
  }

  onUnsubscribe(): void {
    this.count = Infinity;
  }

  onAuthenticate(): void {
    this.count = Infinity;
  }

  onIdleFrame(): void {}
}

function stopped(): Error {
  return new Error("The server stops");
}
