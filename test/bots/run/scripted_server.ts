/**
 * A server that speaks Janus as a test wants it to: well, or badly in one particular way.
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";

/** Deviations from a good server. Bots and publishers are counted from 0. */
export interface Script {
  /** In place of the greeting, for the connection of that number, the first probe being number 0. */
  onConnect?(socket: Socket, number: number, server: ScriptedServer): void;
  /** In place of `ACK`. */
  onSubscribe?(socket: Socket, number: number, server: ScriptedServer): void;
  /** In place of one copy for each subscriber. */
  onPublish?(publish: Publish, server: ScriptedServer): void;
}

/** A message that was published, and those who were subscribed then. */
export interface Publish {
  /** 0 for the first. */
  readonly round: number;
  /** The message's JSON text, without a timestamp. */
  readonly message: string;
  readonly subscribers: readonly Socket[];
  /** Whose message it is; `null` where it's the test's. */
  readonly publisher: Socket | null;
}

const GREETING =
  '{"timestamp":[1795,435717,985835],"token":"4b8e76c65a5f6b95692134dcdf3b9066"}\x01';

/** The parts of a message's frame: a new timestamp, unless one is given. */
export function stamp(message: string, micros = nextMicros()): string {
  const seconds = Math.floor(micros / 1e6);
  const ts = [Math.floor(seconds / 1e6), seconds % 1e6, micros % 1e6];
  return `{"timestamp":${JSON.stringify(ts)},${message.slice(1)}\x01`;
}

let lastMicros = 0;

/** Timestamps as the server issues them: this moment, and each greater than the last. */
function nextMicros(): number {
  const now = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  return lastMicros = Math.max(now, lastMicros + 1);
}

/** Listens on a port that the system chose. */
export class ScriptedServer {
  readonly #script: Script;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribers = new Set<Socket>();
  #connections = 0;
  #subscriptions = 0;
  #publishes = 0;
  /** The bytes of each connection, in the order of connecting. */
  readonly said: string[] = [];
  /** True for each connection that has ended its sending, in the order of connecting. */
  readonly ended: boolean[] = [];

  private constructor(script: Script) {
    this.#script = script;
    // Bots close when they have seen enough, and so does this; a reset in between is no matter.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  static async start(script: Script = {}, host = "127.0.0.1"): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    await new Promise<void>((resolve) => server.#server.listen(0, host, () => resolve()));
    return server;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Connections so far, probes and publishers included. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Connections that are subscribed now. */
  get subscribed(): number {
    return this.#subscribers.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const number = this.#connections++;
    this.#sockets.add(socket);
    this.said[number] = "";
    this.ended[number] = false;
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      this.said[number] += text;
      rest = this.#read(socket, rest + text);
    });
    socket.on("end", () => {
      this.ended[number] = true;
      socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#subscribers.delete(socket);
    });
    if (this.#script.onConnect === undefined) socket.write(GREETING);
    else this.#script.onConnect(socket, number, this);
  }

  /** Sends the greeting, for a script that had something else in mind first. */
  greet(socket: Socket): void {
    socket.write(GREETING);
  }

  /** Subscribes and acknowledges. */
  acknowledge(socket: Socket): void {
    this.#subscribers.add(socket);
    socket.write("ACK\x01");
  }

  #read(socket: Socket, text: string): string {
    const frames = text.split("\0");
    for (;;) {
      const frame = frames.shift()!;
      if (frame === "PUBLISH" && frames.length > 0 && frames.at(-1)!.endsWith("}")) {
        this.publish(frames.join("\0"), socket);
        return "";
      }
      if (frame === "PUBLISH" && frames.length > 1 && frames[0] !== "") {
        this.publish(frames.shift()!, socket);
        continue;
      }
      if (frames.length === 0) return frame;
      if (frame === "PUBLISH") return [frame, ...frames].join("\0");
      if (frame.startsWith('{"action":"subscribe"')) {
        const number = this.#subscriptions++;
        if (this.#script.onSubscribe === undefined) this.acknowledge(socket);
        else this.#script.onSubscribe(socket, number, this);
      } else if (frame.startsWith('{"action":"authenticate"')) {
        socket.write("ACK\x01");
      } else if (frame.startsWith('{"action":"unsubscribe"')) this.#subscribers.delete(socket);
    }
  }

  /** Publishes, as a client's message does. */
  publish(message: string, publisher: Socket | null = null): void {
    const subscribers = [...this.#subscribers];
    const publish: Publish = { round: this.#publishes++, message, subscribers, publisher };
    if (this.#script.onPublish !== undefined) return this.#script.onPublish(publish, this);
    const frame = stamp(message);
    for (const socket of subscribers) socket.write(frame);
  }
}
