/**
 * As much of NATS and of Redis as the bots speak, so that what they count can be tested where neither
 * is installed, and with servers that err.
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";

export type Rival = "nats" | "redis";

/** Deviations from a good server. */
export interface RivalScript {
  /** In place of everything else, for the subscriber of that number, from 0. */
  onSubscribe?(socket: Socket, number: number): void;
  /** In place of delivering what the publisher sent. */
  onPublish?(publisher: Socket): void;
  /** The bytes that the subscriber of that number gets in place of one good frame. */
  deliver?(socket: Socket, frame: string, number: number, round: number): void;
}

interface Protocol {
  readonly greeting: string;
  /** The answer to a whole command; an array of a command's words for Redis, one line for NATS. */
  frame(payload: string): string;
  readonly acknowledgement: string;
}

const PROTOCOLS: Readonly<Record<Rival, Protocol>> = {
  nats: {
    greeting: 'INFO {"server_name":"fake","max_payload":1048576}\r\n',
    frame: (payload) => `MSG events 1 ${payload.length}\r\n${payload}\r\n`,
    acknowledgement: "PONG\r\n",
  },
  redis: {
    greeting: "",
    frame: (payload) =>
      `*3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$${payload.length}\r\n${payload}\r\n`,
    acknowledgement: "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n",
  },
};

/** Listens on a port that the system chose. */
export class RivalServer {
  readonly #protocol: Protocol;
  readonly #script: RivalScript;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribers: Socket[] = [];
  #rounds = 0;
  /** The bytes of all connections, in the order in which they arrived. */
  said = "";

  private constructor(rival: Rival, script: RivalScript) {
    this.#protocol = PROTOCOLS[rival];
    this.#script = script;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  static async start(rival: Rival, script: RivalScript = {}): Promise<RivalServer> {
    const server = new RivalServer(rival, script);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", () => resolve()));
    return server;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    let said = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      this.said += text;
      said = this.#read(socket, said + text);
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    socket.write(this.#protocol.greeting);
  }

  /** Answers complete commands; returns what is left. The tests' payload holds no line end. */
  #read(socket: Socket, text: string): string {
    const ends = /^(?:\*1\r\n\$4\r\nPING\r\n|CONNECT .*\r\n|PING\r\n|PONG\r\n|UNSUB 1\r\n)/;
    const subscribe = /^(?:SUB events 1\r\nPING\r\n|\*2\r\n\$9\r\nSUBSCRIBE\r\n\$6\r\nevents\r\n)/;
    const unsubscribe = /^\*2\r\n\$11\r\nUNSUBSCRIBE\r\n\$6\r\nevents\r\n/;
    const publish =
      /^(?:PUB events \d+\r\n(.*)\r\n|\*3\r\n\$7\r\nPUBLISH\r\n\$6\r\nevents\r\n\$\d+\r\n(.*)\r\n)/;
    for (;;) {
      let match: RegExpExecArray | null;
      if ((match = subscribe.exec(text)) !== null) this.#subscribe(socket);
      else if ((match = publish.exec(text)) !== null) {
        this.#publish(socket, (match[1] ?? match[2])!);
      } else if ((match = unsubscribe.exec(text)) === null) {
        match = ends.exec(text);
        if (match === null) return text;
        if (match[0].startsWith("*1")) socket.write("+PONG\r\n");
      }
      text = text.slice(match[0].length);
    }
  }

  #subscribe(socket: Socket): void {
    const number = this.#subscribers.push(socket) - 1;
    if (this.#script.onSubscribe === undefined) socket.write(this.#protocol.acknowledgement);
    else this.#script.onSubscribe(socket, number);
  }

  #publish(publisher: Socket, payload: string): void {
    if (this.#script.onPublish !== undefined) return this.#script.onPublish(publisher);
    const round = this.#rounds++;
    const frame = this.#protocol.frame(payload);
    for (const [number, socket] of this.#subscribers.entries()) {
      if (this.#script.deliver === undefined) socket.write(frame);
      else this.#script.deliver(socket, frame, number, round);
    }
  }
}
