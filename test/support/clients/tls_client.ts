/**
 * A client of the Janus protocol over TLS, made of the platform's own sockets.
 *
 * @module
 */

import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { TlsIdentity } from "../../../runtime/types.ts";
import { until } from "../until.ts";

/** Knows frames, and who it speaks with. */
export class TlsClient {
  readonly #socket: TLSSocket;
  #text = "";
  #isSecure = false;
  /** The reason why it isn't connected. */
  failure: string | undefined;
  isClosed = false;

  private constructor(port: number, { cert }: TlsIdentity) {
    const options = { host: "127.0.0.1", port, servername: "localhost", ca: cert };
    this.#socket = connect(options as ConnectionOptions);
    this.#socket.on("secureConnect", () => this.#isSecure = true);
    this.#socket.on("data", (chunk: Uint8Array) => this.#text += new TextDecoder().decode(chunk));
    this.#socket.on("error", (error: Error) => this.failure ??= error.message);
    this.#socket.on("close", () => this.isClosed = true);
  }

  /**
   * Connects, and waits for the greeting; or for the failure.
   *
   * @param opening The first bytes that it sends.
   */
  static async dial(port: number, identity: TlsIdentity, opening = ""): Promise<TlsClient> {
    const client = new TlsClient(port, identity);
    if (opening !== "") client.send(opening);
    await until("it is greeted", () => client.frames.length > 0 || client.isClosed);
    return client;
  }

  /** Connects, is greeted, and subscribes to `t`. */
  static async subscribed(port: number, identity: TlsIdentity): Promise<TlsClient> {
    const client = await TlsClient.dial(port, identity);
    client.send('{"action":"subscribe","data":"t"}\0');
    await until("it is subscribed", () => client.frames.includes("ACK"));
    return client;
  }

  get isSecure(): boolean {
    return this.#isSecure;
  }

  /** Complete frames that arrived. */
  get frames(): string[] {
    return this.#text.split("\u0001").slice(0, -1);
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** Publishes on the topic `t`, and keeps the connection. */
  publish(data: string): void {
    this.send(`PUBLISH\0{"topic":"t","data":"${data}"}\0`);
  }

  /** Waits for a message of `t`. */
  async hears(data: string): Promise<void> {
    const end = `"topic":"t","data":"${data}"}`;
    await until(`it hears ${data}`, () => this.frames.some((frame) => frame.endsWith(end)));
  }

  dispose(): void {
    this.#socket.destroy();
  }
}
