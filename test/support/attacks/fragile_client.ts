/**
 * A subscriber that is as fragile as the bots of 2009.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import { GREETING, type Target } from "../clients/janus_client.ts";

const MARKER = "<regular-socket/>\0";
const MESSAGE = /^\{"timestamp":\[\d+,\d+,\d+\],"topic":/;

/** Milliseconds before it comes back. */
const RETRY_MS = 50;

/**
 * Says what a bot of 2009 said, in the same order, and no more. It crashes on a frame that is neither
 * the greeting nor `ACK` nor a message, or comes when it isn't due, and then does nothing more; when
 * the connection ends, however that is, it comes back.
 */
export class FragileClient {
  readonly #target: Target;
  readonly #topic: string;
  /** The frame on which it crashed. */
  crash: string | undefined;
  /** The messages that came, over all connections. */
  readonly messages: string[] = [];
  /** The numbers of connections and of subscriptions. */
  connections = 0;
  subscriptions = 0;
  /** The numbers of connections that the server ended by FIN, and in any other way. */
  closes = 0;
  resets = 0;
  #socket!: Socket;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isDisposed = false;

  /** Begins to connect. */
  constructor(target: Target, topic: string) {
    this.#target = target;
    this.#topic = topic;
    this.#connect();
  }

  /** Stops reading. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** Frees the socket, and doesn't come back. */
  dispose(): void {
    this.#isDisposed = true;
    clearTimeout(this.#retry);
    this.#socket.destroy();
  }

  #connect(): void {
    const { hostname, port } = this.#target;
    let expected: "greeting" | "ACK" | "message" = "greeting";
    let rest = "";
    let hasEnded = false;
    const socket = this.#socket = connect({ host: hostname, port, noDelay: true });
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      this.connections++;
      socket.write(`${MARKER}PING\0`);
    });
    socket.on("data", (text: string) => {
      const frames = (rest + text).split("\x01");
      rest = frames.pop()!;
      for (const frame of frames) {
        if (this.crash !== undefined) return;
        if (expected === "greeting" && GREETING.test(frame)) {
          expected = "ACK";
          const data = JSON.stringify(this.#topic);
          socket.write(`${MARKER}{"action":"subscribe","data":${data}}\0`);
        } else if (expected === "ACK" && frame === "ACK") {
          expected = "message";
          this.subscriptions++;
        } else if (expected === "message" && MESSAGE.test(frame)) this.messages.push(frame);
        else this.#crashOn(frame);
      }
    });
    socket.on("end", () => {
      hasEnded = true;
      if (rest !== "") this.#crashOn(rest);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      if (this.#isDisposed || this.crash !== undefined) return;
      if (hasEnded) this.closes++;
      else this.resets++;
      this.#retry = setTimeout(() => this.#connect(), RETRY_MS);
    });
  }

  #crashOn(frame: string): void {
    this.crash = frame;
    this.#socket.destroy();
  }
}
