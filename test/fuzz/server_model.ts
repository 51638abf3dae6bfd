/**
 * The server's half of the protocol told in the simplest way: what arrived, in the order in which it
 * was read, and what each client must get of it. Nothing is limited but what the tests limit, and no
 * time passes.
 *
 * @module
 */

import type { ErrorCode } from "../../protocol/errors.ts";
import { type Heard, latin1 } from "../protocol/client_stream.ts";
import { modelOutcome } from "../protocol/naive_model.ts";
import { join } from "../support/bytes.ts";

/** Something that the server was told by the runtime. */
export type Happening =
  | { readonly client: number; readonly what: "connect" | "end" | "close" }
  | {
    readonly client: number;
    readonly what: "data";
    readonly bytes: Uint8Array;
    /** The server said `bad_message` at once, which may be before the model can tell. */
    readonly isRefused: boolean;
  };

/** A message that a client must get. */
export interface DueMessage {
  /** Its place among all that the server accepted. */
  readonly number: number;
  /** The bytes of MESSAGE. */
  readonly message: Uint8Array;
  /** The number of `ACK`s that the client must have had before. */
  readonly behindAcks: number;
}

/** Something that a client asked for, and whether it was one of 2009 when it did. */
interface HeardOf {
  readonly one: Heard;
  readonly isLegacy: boolean;
}

/** The frames that one client must get. */
export class ModelClient {
  acks = 0;
  /** By topic; between topics there is no order. */
  readonly due = new Map<string, DueMessage[]>();
  /** The subscribers of each of its messages that it wants a receipt for, and the message's number. */
  readonly receipts: { readonly number: number; readonly matched: number }[] = [];
  /** The error that it must be told before it is closed; clients of 2009 are told nothing. */
  error: ErrorCode | undefined;
  /** It ended its side itself. */
  hasEnded = false;
  isOpen = true;
  /** Topics, and which `ACK` each subscription got. */
  readonly subscriptions = new Map<string, number>();
  /** It's a client of 2009 so far. */
  isLegacy = false;
  /** All that's left to come of it is the end of its last message. */
  awaitsTerminator = false;
  #chunks: Uint8Array[] = [];
  #heardCount = 0;

  /** The frames that a chunk adds to the earlier ones. */
  hear(bytes: Uint8Array, maxFrameBytes: number): {
    readonly heard: readonly HeardOf[];
    readonly error?: ErrorCode;
    readonly maybe?: ErrorCode;
    readonly isLegacy: boolean;
  } {
    this.#chunks.push(bytes);
    const outcome = modelOutcome(join(this.#chunks), maxFrameBytes);
    const { beganAsLegacy, askedBeforeNew, awaitsTerminator } = outcome.manner;
    const heard = outcome.heard.map((one, i) => ({
      one,
      isLegacy: beganAsLegacy && i < askedBeforeNew,
    })).slice(this.#heardCount);
    this.#heardCount = outcome.heard.length;
    this.awaitsTerminator = awaitsTerminator;
    return { ...outcome, heard, isLegacy: beganAsLegacy && askedBeforeNew === Infinity };
  }
}

/** The limits that the model knows. */
export interface ModelLimits {
  readonly maxFrameBytes: number;
  readonly maxTopics: number;
  readonly maxTopicsTotal: number;
}

/** The clients of a server to which all that has happened. */
export function modelClients(
  happenings: readonly Happening[],
  limits: ModelLimits,
): readonly ModelClient[] {
  const clients: ModelClient[] = [];
  let accepted = 0;

  function subscribersOf(topic: string): ModelClient[] {
    return clients.filter(({ isOpen, subscriptions }) => isOpen && subscriptions.has(topic));
  }

  function fail(client: ModelClient, code: ErrorCode): void {
    if (!client.isLegacy) client.error = code;
    client.isOpen = false;
  }

  function subscribe(client: ModelClient, topic: string): void {
    if (!client.subscriptions.has(topic)) {
      const topics = new Set(
        clients.flatMap(({ isOpen, subscriptions }) => isOpen ? [...subscriptions.keys()] : []),
      );
      const isFull = !topics.has(topic) && topics.size >= limits.maxTopicsTotal;
      if (client.subscriptions.size >= limits.maxTopics || isFull) {
        return fail(client, "too_many_topics");
      }
      client.subscriptions.set(topic, client.acks + 1);
    }
    client.acks++;
  }

  function publish(topic: string, text: string): number {
    const number = accepted++;
    const subscribers = subscribersOf(topic);
    for (const { due, subscriptions } of subscribers) {
      const queue = due.get(topic) ?? [];
      due.set(topic, queue);
      queue.push({ number, message: latin1(text), behindAcks: subscriptions.get(topic)! });
    }
    return subscribers.length;
  }

  function act(client: ModelClient, [action, subject, text]: Heard): void {
    switch (action) {
      case "subscribe":
        return subscribe(client, subject);
      case "unsubscribe":
        return void client.subscriptions.delete(subject);
      case "authenticate":
        client.acks++;
        return;
      case "publish":
        return void publish(subject, text);
      case "publish for receipt": {
        const number = accepted;
        client.receipts.push({ number, matched: publish(subject, text) });
      }
    }
  }

  for (const happening of happenings) {
    if (happening.what === "connect") {
      clients[happening.client] = new ModelClient();
      continue;
    }
    const client = clients[happening.client]!;
    if (!client.isOpen) continue;
    if (happening.what !== "data") {
      client.hasEnded = true;
      client.isOpen = false;
      continue;
    }
    const { heard, error, maybe, isLegacy } = client.hear(happening.bytes, limits.maxFrameBytes);
    for (const { one, isLegacy: wasLegacy } of heard) {
      client.isLegacy = wasLegacy;
      if (client.isOpen) act(client, one);
    }
    client.isLegacy = isLegacy;
    if (!client.isOpen) continue;
    if (happening.isRefused && maybe === "bad_message") fail(client, "bad_message");
    else if (error !== undefined) fail(client, error);
  }
  return clients;
}
