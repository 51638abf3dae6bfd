/**
 * A server as strict as the original of 2009, as it was seen on the wire.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";

const MARKER = "<regular-socket/>\0";

/** The members that a published message must have had, in that order and no others. */
const MEMBERS = ["topic", "event", "message_id", "data"];

/** Deviations from the usual behaviour. */
export interface StrictScript {
  /** The token in each greeting, as JSON text; by default a list of codes, as Janus's encoder gave it. */
  readonly token?: string;
  /** In place of acknowledging a subscription, after it has been taken. */
  onSubscribe?(socket: Socket, number: number, server: StrictJanusServer): void;
  /** In place of one copy for each subscriber. */
  onPublish?(frame: string, subscribers: readonly Socket[], server: StrictJanusServer): void;
}

/**
 * Hangs up without a word on every segment that doesn't begin with the marker, on every frame without one
 * before it, and on whatever is none of the frames of 2009. It never says why. It listens on a port that
 * the system chose.
 */
export class StrictJanusServer {
  readonly #script: StrictScript;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribers = new Map<Socket, string>();
  #subscriptions = 0;
  #microseconds = 0;
  /** The frames on which it hung up, in order. */
  readonly hungUpOn: string[] = [];
  /** Every frame that it took, in order, without marker and terminator. */
  readonly frames: string[] = [];

  private constructor(script: StrictScript) {
    this.#script = script;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /**
   * Listens on the loopback interface.
   *
   * @param port 0 lets the system choose.
   */
  static async start(script: StrictScript = {}, port = 0): Promise<StrictJanusServer> {
    const server = new StrictJanusServer(script);
    await new Promise<void>((resolve) => {
      server.#server.listen({ port, host: "127.0.0.1", backlog: 512 }, () => resolve());
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Closes every connection, and frees the port. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setEncoding("utf8");
    socket.on("data", (segment: string) => {
      try {
        this.#read(socket, segment);
      } catch (fault) {
        this.hungUpOn.push((fault as Error).message);
        socket.destroy();
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#subscribers.delete(socket);
    });
    const token = this.#script.token ?? JSON.stringify([...Buffer.from("4b8e76c65a5f6b95")]);
    socket.write(`{"timestamp":${this.#timestamp()},"token":${token}}\x01`);
  }

  /** @throws {Error} on what Janus hung up on. */
  #read(socket: Socket, segment: string): void {
    let rest = segment;
    while (rest !== "") {
      if (!rest.startsWith(MARKER)) throw new Error(`no marker before ${JSON.stringify(rest)}`);
      rest = rest.slice(MARKER.length);
      const end = rest.indexOf("\0");
      if (end === -1) throw new Error(`a frame without an end: ${JSON.stringify(rest)}`);
      const frame = rest.slice(0, end);
      this.frames.push(frame);
      rest = rest.slice(end + 1);
      if (frame === "PUBLISH") return this.#publish(socket, rest);
      if (frame !== "PING" && frame !== "PONG") this.#act(socket, frame);
    }
  }

  #act(socket: Socket, frame: string): void {
    const members = JSON.parse(frame) as Record<string, unknown>;
    const { action, data } = members;
    if (Object.keys(members).join() !== "action,data" || typeof data !== "string") {
      throw new Error(`no action: ${frame}`);
    }
    if (action === "unsubscribe") this.#subscribers.delete(socket);
    else if (action !== "subscribe") throw new Error(`an unknown action: ${frame}`);
    else {
      this.#subscribers.set(socket, data);
      const number = this.#subscriptions++;
      if (this.#script.onSubscribe === undefined) socket.write("ACK\x01");
      else this.#script.onSubscribe(socket, number, this);
    }
  }

  #publish(socket: Socket, message: string): void {
    const members = JSON.parse(message) as Record<string, unknown>;
    if (Object.keys(members).join() !== MEMBERS.join()) throw new Error(`no message: ${message}`);
    this.frames.push(message);
    const frame = `{"timestamp":${this.#timestamp()},${message.slice(1)}\x01`;
    const subscribers = [...this.#subscribers].flatMap(([subscriber, topic]) =>
      topic === members["topic"] ? [subscriber] : []
    );
    socket.end();
    if (this.#script.onPublish !== undefined) {
      return this.#script.onPublish(frame, subscribers, this);
    }
    for (const subscriber of subscribers) subscriber.write(frame);
  }

  /** As Erlang's `now()` gave it: this moment, and each greater than the last. */
  #timestamp(): string {
    const now = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    this.#microseconds = Math.max(now, this.#microseconds + 1);
    const seconds = Math.floor(this.#microseconds / 1e6);
    return JSON.stringify([Math.floor(seconds / 1e6), seconds % 1e6, this.#microseconds % 1e6]);
  }
}
