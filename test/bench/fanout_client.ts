/**
 * The other side of the fan-out benchmark: subscribers that count, and a publisher that pipelines.
 *
 * @module
 */

import { join } from "../support/bytes.ts";
import { encodePublish, encodeSubscribe } from "../../protocol/client_encoder.ts";
import type { Connection, ConnectionHandler, Runtime } from "../../runtime/types.ts";

const TERMINATOR = 0x01;

/** Connects under way at once: a listener's backlog holds 512 on Bun. */
const MAX_CONNECTING = 256;

/** A round that takes longer than this has lost something. */
const ROUND_PATIENCE_MS = 120_000;

/** The results of one round. */
export interface Round {
  /** From the publish to the last message's arrival, for each subscriber, ascending. */
  readonly latenciesMs: Float64Array;
}

/** Some subscribers of the same topics. */
export class Audience {
  readonly #topics: readonly string[];
  readonly #members: Member[] = [];
  #ready = 0;
  #awaited = 0;
  #done = 0;
  #onProgress: () => void = () => {};

  constructor(...topics: string[]) {
    this.#topics = topics;
  }

  get size(): number {
    return this.#members.length;
  }

  /** Connects and subscribes `count` more; resolves when each has an `ACK` for each topic. */
  async join(runtime: Runtime, port: number, count: number): Promise<void> {
    const wanted = this.#members.length + count;
    const opening: Opening = {
      subscribeFrames: join(this.#topics.map(encodeSubscribe)),
      answers: 1 + this.#topics.length,
    };
    let next = this.#members.length;
    const worker = async () => {
      while (next < wanted) {
        // Each loopback address has a port range of its own.
        const hostname = `127.0.0.${1 + next % 4}`;
        next++;
        await runtime.connect({ transport: "tcp", hostname, port }, (connection) => {
          const member = new Member(connection, opening, () => {
            this.#ready++;
            this.#onProgress();
          }, () => {
            this.#done++;
            this.#onProgress();
          });
          this.#members.push(member);
          return member;
        });
      }
    };
    await Promise.all(Array.from({ length: MAX_CONNECTING }, worker));
    await this.#until("ready", () => this.#ready >= wanted);
  }

  /** Calls `publish`, and resolves when each member has `messages` more messages. */
  async receive(messages: number, publish: () => void): Promise<Round> {
    this.#awaited = this.#members.length;
    this.#done = 0;
    for (const member of this.#members) member.expect(messages);
    const startMs = performance.now();
    publish();
    await this.#until("received", () => this.#done >= this.#awaited);
    const latenciesMs = Float64Array.from(this.#members, (member) => member.doneMs - startMs);
    return { latenciesMs: latenciesMs.sort() };
  }

  /** Reads nothing any more. */
  stall(): void {
    for (const member of this.#members) member.stall();
  }

  leave(): void {
    for (const member of this.#members) member.leave();
  }

  #until(what: string, isTrue: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const counts = `${this.#ready} ready, ${this.#done} of ${this.#awaited} done`;
        reject(new Error(`Not all were ${what} within ${ROUND_PATIENCE_MS / 1000} s: ${counts}`));
      }, ROUND_PATIENCE_MS);
      this.#onProgress = () => {
        if (!isTrue()) return;
        clearTimeout(timer);
        this.#onProgress = () => {};
        resolve();
      };
      this.#onProgress();
    });
  }
}

/** The first frames. */
interface Opening {
  /** The bytes that the client sends when the server has greeted it. */
  readonly subscribeFrames: Uint8Array;
  /** The number of the server's frames until it is ready: its greeting, and an `ACK` for each topic. */
  readonly answers: number;
}

/** A subscriber that counts terminators. */
class Member implements ConnectionHandler {
  /** When the last message that it waits for arrived. */
  doneMs = 0;
  readonly #connection: Connection;
  readonly #opening: Opening;
  readonly #onReady: () => void;
  readonly #onDone: () => void;
  #frames = 0;
  #expected = 0;

  constructor(
    connection: Connection,
    opening: Opening,
    onReady: () => void,
    onDone: () => void,
  ) {
    this.#connection = connection;
    this.#opening = opening;
    this.#onReady = onReady;
    this.#onDone = onDone;
  }

  expect(messages: number): void {
    this.#expected = this.#frames + messages;
  }

  stall(): void {
    this.#connection.pauseReading();
  }

  leave(): void {
    this.#connection.close();
  }

  onData(chunk: Uint8Array): void {
    for (let at = chunk.indexOf(TERMINATOR); at !== -1; at = chunk.indexOf(TERMINATOR, at + 1)) {
      this.#frames++;
      if (this.#frames === 1) this.#connection.write(this.#opening.subscribeFrames);
      else if (this.#frames === this.#opening.answers) this.#onReady();
      else if (this.#frames === this.#expected) {
        this.doneMs = performance.now();
        this.#onDone();
      }
    }
  }

  onDrain(): void {}

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {}
}

/** A connection that publishes. */
export class BenchPublisher {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Connects; resolves when the greeting has come. */
  static connect(runtime: Runtime, port: number): Promise<BenchPublisher> {
    return new Promise((resolve, reject) => {
      runtime.connect({ transport: "tcp", hostname: "127.0.0.1", port }, (connection) => ({
        onData: () => resolve(new BenchPublisher(connection)),
        onDrain() {},
        onEnd: () => connection.close(),
        onClose() {},
      })).catch(reject);
    });
  }

  /** Sends frames of {@linkcode publishFrames} in one go. The one before must have been received. */
  publish(frames: Uint8Array): void {
    this.#connection.write(frames);
  }

  close(): void {
    this.#connection.close();
  }
}

/** `count` pipelined publishes whose `data` has `payloadBytes` bytes. */
export function publishFrames(topic: string, count: number, payloadBytes: number): Uint8Array {
  const message = JSON.stringify({
    topic,
    event: "test_event",
    message_id: "",
    data: "x".repeat(payloadBytes),
  });
  return join(Array<Uint8Array>(count).fill(encodePublish(message, { pipelined: true })));
}
