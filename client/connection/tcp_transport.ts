import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ServerAddress } from "./address.ts";
import { certificateFault } from "./certificate_fault.ts";
import { ConnectionError, UrlError } from "../api/errors.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import type { DialOptions, Transport, TransportHandler } from "./transport.ts";

/** TLS that met something else. */
const NOT_TLS = /WRONG_VERSION|wrong version|InvalidContentType|corrupt message|packet length/i;

const OPENING_BRACE = 0x7b;
const TLS_ALERT = 0x15;

/** A connection over TCP or TLS, by Node's modules, which Deno and Bun have too. */
export class TcpTransport implements Transport {
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
    this.#socket = isSecure
      ? connectTls({
        host,
        port,
        // Names only: TLS has no IP addresses there, and the certificate is compared with the host.
        ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
        ...(ca === undefined ? {} : { ca }),
      }, onConnect)
      : connect({ host, port }, onConnect);
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

  pause(): boolean {
    this.#socket.pause();
    return true;
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
    if (isSecure && NOT_TLS.test(words)) {
      const message = `The server at ${url} doesn't speak TLS`;
      return new UrlError(url, message, "Write hotwheels:// for hotwheelss://", { cause: error });
    }
    const trust = "Pass the certificate of the authority that signed it as the option ca";
    const fault = isSecure ? certificateFault(url, words, trust, error) : undefined;
    if (fault !== undefined) return fault;
    return new ConnectionError(`The connection to ${url} failed: ${words}`, { cause: error });
  }
}
