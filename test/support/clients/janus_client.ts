/**
 * A client of the Janus protocol that shares no code with the server: raw bytes out, frames in.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { connect, type Socket } from "node:net";
import { join } from "../bytes.ts";
import { until } from "../until.ts";

/** The address of a test's server. */
export interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** The options of one client. */
export interface ClientOptions {
  /** Never reads, not even the greeting, until {@linkcode JanusClient.resume}. */
  readonly deaf?: boolean;
  /** Keeps its side open when the server has closed the other. */
  readonly lingers?: boolean;
  /** Counts what arrives and forgets it. */
  readonly counts?: boolean;
  /** The address that it comes from, such as `127.0.0.2`; that works on Linux only. */
  readonly from?: string;
}

/** The end of a connection as the client sees it: FIN, RST or another failure. */
export type ClientEnd = "fin" | "reset";

/** Matches the server's greeting; its only group is the token. */
export const GREETING = /^\{"timestamp":\[\d+,\d+,\d+\],"token":"([0-9a-f]{32})"\}$/;

const TERMINATOR = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One client. Waits have long limits: only a test that fails takes that time. */
export class JanusClient {
  readonly #socket: Socket;
  readonly #counts: boolean;
  /** Frames that arrived and weren't asked for yet. */
  readonly frames: string[] = [];
  /** Bytes that arrived. */
  byteCount = 0;
  /** Frames that arrived. */
  frameCount = 0;
  /** The end of the connection; `null` before it. */
  ended: ClientEnd | null = null;
  #partial: Uint8Array[] = [];
  isConnected = false;
  /** The socket is no more. */
  isClosed = false;

  /** Begins to connect. */
  constructor({ hostname, port }: Target, options: ClientOptions = {}) {
    this.#counts = options.counts ?? false;
    this.#socket = connect({
      host: hostname,
      port,
      allowHalfOpen: true,
      noDelay: true,
      ...options.from === undefined ? {} : { localAddress: options.from },
    });
    this.#socket.on("connect", () => this.isConnected = true);
    this.#socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    this.#socket.on("end", () => {
      this.ended ??= "fin";
      if (!options.lingers) this.#socket.end();
    });
    this.#socket.on("error", () => this.ended ??= "reset");
    this.#socket.on("close", () => this.isClosed = true);
    if (options.deaf) this.#socket.pause();
  }

  /** Connects. The greeting is still to come. */
  static async open(target: Target, options?: ClientOptions): Promise<JanusClient> {
    const client = new JanusClient(target, options);
    await client.connected();
    return client;
  }

  /** Connects, and takes the greeting. */
  static async greeted(target: Target, options?: ClientOptions): Promise<JanusClient> {
    const client = await JanusClient.open(target, options);
    await client.greeting();
    return client;
  }

  /** Connects, and subscribes to the topics; an `ACK` has come for each. */
  static async subscribed(target: Target, ...topics: string[]): Promise<JanusClient> {
    const client = await JanusClient.greeted(target);
    for (const topic of topics) await client.subscribe(topic);
    return client;
  }

  /** The bytes after the last terminator. */
  get partialFrame(): Uint8Array {
    return join(this.#partial);
  }

  /** The port that it comes from, while it's connected. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  async connected(): Promise<void> {
    await until("the client is connected", () => this.isConnected || this.ended !== null);
  }

  /** Sends bytes in one segment, if it fits; text in UTF-8. */
  send(bytes: Uint8Array | string): void {
    this.#socket.write(typeof bytes === "string" ? encoder.encode(bytes) : bytes);
  }

  /** Sends bytes and resolves when the kernel has taken them. */
  sent(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(
        typeof bytes === "string" ? encoder.encode(bytes) : bytes,
        () => resolve(),
      );
    });
  }

  /** Sends FIN behind what was sent, and reads on. */
  end(): void {
    this.#socket.end();
  }

  /** Aborts with RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Closes as a program does that ends: FIN, or RST where something came that wasn't read. */
  close(): void {
    this.#socket.destroy();
  }

  /** Stops reading, so that the server's writes stall when the kernel's buffers are full. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** The next frame. */
  async frame(): Promise<string> {
    await until("a frame comes", () => this.frames.length > 0 || this.ended !== null);
    const frame = this.frames.shift();
    if (frame === undefined) throw new Error(`the connection ended (${this.ended}) instead`);
    return frame;
  }

  /** The next `count` frames. */
  async next(count: number): Promise<string[]> {
    await until(
      `${count} frames come`,
      () => this.frames.length >= count || this.ended !== null,
      60_000,
    );
    if (this.frames.length < count) {
      throw new Error(`ended (${this.ended}) after ${this.frames.length} of ${count} frames`);
    }
    return this.frames.splice(0, count);
  }

  /** Takes the greeting, and returns its token. */
  async greeting(): Promise<string> {
    const frame = await this.frame();
    const token = GREETING.exec(frame)?.[1];
    if (token === undefined) throw new Error(`this is no greeting: ${frame}`);
    return token;
  }

  /** Subscribes; `ACK` has come, and is the only frame that has. */
  async subscribe(topic: string): Promise<void> {
    this.send(subscribe(topic));
    const frame = await this.frame();
    if (frame !== "ACK") throw new Error(`not ACK: ${frame}`);
  }

  /**
   * The server has read everything that was sent before. It subscribes to a topic of its own, so
   * every message that arrives meanwhile stays in {@linkcode frames}.
   */
  async synced(limitMs?: number): Promise<void> {
    this.send(subscribe("sync"));
    await until("ACK comes", () => this.frames.includes("ACK") || this.ended !== null, limitMs);
    const index = this.frames.indexOf("ACK");
    if (index === -1) throw new Error(`the connection ended (${this.ended}) instead of ACK`);
    this.frames.splice(index, 1);
  }

  /** The server has closed the connection; says how, and what frames came before. */
  async closed(limitMs = 30_000): Promise<{ how: ClientEnd; frames: string[] }> {
    await until("the server closes the connection", () => this.ended !== null, limitMs);
    return { how: this.ended!, frames: this.frames.splice(0) };
  }

  /** Frees the socket, whatever it does. */
  async dispose(): Promise<void> {
    this.#socket.destroy();
    await until("the client's socket is closed", () => this.isClosed);
  }

  #take(chunk: Uint8Array): void {
    this.byteCount += chunk.length;
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(TERMINATOR, start);
      if (end === -1) break;
      this.frameCount++;
      if (!this.#counts) this.frames.push(this.#text(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (start < chunk.length && !this.#counts) this.#partial.push(chunk.slice(start));
  }

  #text(rest: Uint8Array): string {
    if (this.#partial.length === 0) return decoder.decode(rest);
    this.#partial.push(rest);
    const frame = join(this.#partial);
    this.#partial = [];
    return decoder.decode(frame);
  }
}

/** A subscribe frame. */
export function subscribe(topic: string): string {
  return `{"action":"subscribe","data":${JSON.stringify(topic)}}\0`;
}

/** An unsubscribe frame. */
export function unsubscribe(topic: string): string {
  return `{"action":"unsubscribe","data":${JSON.stringify(topic)}}\0`;
}

/** A frame that shows a key. */
export function authenticate(key: string): string {
  return `{"action":"authenticate","data":${JSON.stringify(key)}}\0`;
}

/** A pipelined publish of MESSAGE. */
export function publish(message: string): string {
  return `PUBLISH\0${message}\0`;
}

/** A publish of MESSAGE that wants a receipt. */
export function publishForReceipt(message: string): string {
  return `{"action":"publish","data":${message}}\0`;
}

/** A MESSAGE with the legacy members. */
export function message(topic: string, data: unknown = "test"): string {
  return JSON.stringify({ topic, event: "test_event", message_id: "", data });
}

/** Joins text and bytes into what one send takes. */
export function bytesOf(...parts: (Uint8Array | string | number[])[]): Uint8Array {
  return join(
    parts.map((part) =>
      typeof part === "string"
        ? encoder.encode(part)
        : part instanceof Uint8Array
        ? part
        : new Uint8Array(part)
    ),
  );
}

/** Splits a frame into its timestamp, in microseconds, and the frame with `TS` in its place. */
export function unstamp(frame: string): { micros: number; rest: string } {
  const match = /^\{"timestamp":\[(\d+),(\d+),(\d+)\],/.exec(frame);
  if (match === null) throw new Error(`this frame has no timestamp in front: ${frame}`);
  const [mega, seconds, micros] = match.slice(1).map(Number) as [number, number, number];
  return {
    micros: (mega * 1e6 + seconds) * 1e6 + micros,
    rest: `{"timestamp":TS,${frame.slice(match[0].length)}`,
  };
}

/** The frame that a subscriber must get for MESSAGE, with `TS` for the timestamp. */
export function delivered(message: string): string {
  return `{"timestamp":TS,${message.slice(1)}`;
}

/** An error frame's code and text. */
export function errorOf(frame: string | undefined): { code: string; message: string } {
  const { error } = JSON.parse(frame ?? "null") as { error: { code: string; message: string } };
  return error;
}

/** The counts of a receipt. */
export interface ReceiptCounts {
  readonly matched: number;
  readonly written: number;
  readonly queued: number;
  readonly evicted: number;
}

/** A receipt's counts. */
export function receiptOf(frame: string): ReceiptCounts {
  return (JSON.parse(frame) as { receipt: ReceiptCounts }).receipt;
}

/**
 * Asserts that a receipt of a server with several processes counts none as evicted, and no more than there are.
 *
 * @returns true if it counts all: a process that seems to hang, since the machine is busy, is left out.
 */
export function isWholeReceipt(frame: string, subscribers: number): boolean {
  const { matched, written, queued, evicted } = receiptOf(frame);
  assert(matched <= subscribers, `${matched} of ${subscribers} subscribers matched`);
  assertEquals([written + queued, evicted], [matched, 0]);
  return matched === subscribers;
}
