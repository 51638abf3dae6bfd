import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ServerAddress } from "./address.ts";
import { certificateFault } from "./certificate_fault.ts";
import { ConnectionError, FinalError, UrlError } from "../api/errors.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { permissionFault } from "./permission_fault.ts";
import { tlsFault } from "./handshake_fault.ts";
import type { DialOptions, Transport, TransportHandler } from "./transport.ts";

const OPENING_BRACE = 0x7b;
const TLS_ALERT = 0x15;

/** An option `ca` of which the runtimes can make nothing; some of them say so. */
const AUTHORITY_FAULT = /options\.ca|Invalid CA|PEM/;

const PEM = "Pass certificates as PEM text as the option ca";

/** A connection over TCP or TLS, by Node's modules, which Deno and Bun have too. */
export class TcpTransport implements Transport {
  readonly canPause = true;
  readonly #address: ServerAddress;
  readonly #handler: TransportHandler;
  readonly #socket: Socket;
  readonly #splitter: FrameSplitter;
  #hasHeard = false;
  #isOver = false;
  #error: Error | undefined;

  constructor(address: ServerAddress, handler: TransportHandler, { ca }: DialOptions) {
    this.#address = address;
    this.#handler = handler;
    this.#splitter = new FrameSplitter((frame) => {
      if (!this.#isOver) handler.onFrame(frame);
    });
    const { hostname: host, port, isSecure } = address;
    const onConnect = () => {
      if (this.#isOver) return;
      if (this.#isOwnPeer) return this.#fail(`Nothing listens at ${address.url}`);
      this.#socket.setNoDelay(true);
      handler.onOpen();
    };
    // Names only: TLS has no IP addresses there, and the certificate is compared with the host.
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    const trust = ca === undefined ? {} : { ca };
    try {
      this.#socket = isSecure
        ? connectTls({ host, port, ...name, ...trust }, onConnect)
        : connect({ host, port }, onConnect);
    } catch (cause) {
      const { message } = cause as Error;
      if (!AUTHORITY_FAULT.test(message)) throw cause;
      throw new FinalError(`No connection can be made to ${address.url}: ${message}`, PEM, {
        cause,
      });
    }
    this.#socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    this.#socket.on("drain", () => {
      if (!this.#isOver) handler.onDrain();
    });
    this.#socket.on("error", (error: Error) => this.#error ??= error);
    // Nothing that is still to be sent would be read.
    this.#socket.on("end", () => this.destroy());
    this.#socket.on("close", () => this.#onClose());
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
    queueMicrotask(() => this.#onClose());
  }

  /**
   * True if it is connected to itself. On one machine the kernel may choose the port that it connects to as
   * its own, while nothing listens there.
   */
  get #isOwnPeer(): boolean {
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket;
    return localPort === remotePort && localAddress === remoteAddress;
  }

  #onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    try {
      if (!this.#hasHeard) this.#checkFirstByte(chunk[0]);
      this.#splitter.pushBytes(chunk);
    } catch (cause) {
      if (cause instanceof UrlError) this.#error ??= cause;
      this.#fail(`${this.#address.url} sent no valid frame`, { cause });
    }
  }

  #fail(message: string, options?: ErrorOptions): void {
    this.#error ??= new ConnectionError(message, options);
    this.destroy();
  }

  /** A server greets with an object. */
  #checkFirstByte(byte: number | undefined): void {
    this.#hasHeard = true;
    if (byte === OPENING_BRACE) return;
    const { url } = this.#address;
    if (byte === TLS_ALERT) {
      throw new UrlError(
        url,
        `The server at ${url} wants TLS`,
        "Write hotwheelss:// for hotwheels://",
      );
    }
    const remedy = "Look whether this is the server's TCP port; for its WebSocket port write ws://";
    throw new UrlError(url, `What answers at ${url} is no Hotwheels server`, remedy);
  }

  #onClose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handler.onClose(this.#errorOf(this.#error));
  }

  #errorOf(error: (Error & { readonly code?: string }) | undefined): Error {
    const { url, isSecure } = this.#address;
    if (error === undefined) return new ConnectionError(`The connection to ${url} has ended`);
    if (error instanceof UrlError || error instanceof ConnectionError) return error;
    const words = [error.code, error.message].filter((each) => !!each).join(": ");
    const trust = "Pass the certificate of the authority that signed it as the option ca";
    const fault = permissionFault(url, error) ?? tlsFault(this.#address, words, error) ??
      (isSecure ? certificateFault(url, words, trust, error) : undefined);
    if (fault !== undefined) return fault;
    return new ConnectionError(`The connection to ${url} failed: ${words}`, { cause: error });
  }
}
