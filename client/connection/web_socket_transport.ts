import type { ServerAddress } from "./address.ts";
import { ConnectionError, UrlError } from "../api/errors.ts";
import { certificateFault } from "./certificate_fault.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { permissionFault } from "./permission_fault.ts";
import { webSocketFault } from "./handshake_fault.ts";
import type { WebSocketLike } from "../api/options.ts";
import type { DialOptions, Transport, TransportHandler } from "./transport.ts";

const SUBPROTOCOL = "hotwheels.v1";

/** More bytes than that waiting in the WebSocket, and it counts as full. */
const FULL_BYTES = 1024 * 1024;

/** Milliseconds between two looks at whether a full WebSocket has room again; it doesn't tell. */
const LOOK_MS = 20;

const TRUST =
  "Start the program with NODE_EXTRA_CA_CERTS=FILE, which holds the certificate of the authority that " +
  "signed it";

/** A connection over WebSocket, by the global class or another one. */
export class WebSocketTransport implements Transport {
  readonly canPause = false;
  readonly #socket: WebSocketLike;
  readonly #handler: TransportHandler;
  readonly #utf8 = new TextDecoder();
  #looking: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /** @throws {UrlError} if there is no WebSocket here, or it can't have that URL. */
  constructor(address: ServerAddress, handler: TransportHandler, options: DialOptions) {
    const { url } = address;
    const Socket = options.WebSocket ??
      (globalThis as unknown as { WebSocket?: DialOptions["WebSocket"] }).WebSocket;
    if (Socket === undefined) {
      const remedy =
        "Use Node 22 or later, start Node 20 with --experimental-websocket, or pass a " +
        "class such as that of npm's ws as the option WebSocket; or use hotwheels:// with the " +
        "server's TCP port";
      throw new UrlError(url, "There is no global WebSocket here", remedy);
    }
    this.#handler = handler;
    try {
      this.#socket = new Socket(url, [SUBPROTOCOL]);
    } catch (cause) {
      const fault = permissionFault(url, cause);
      if (fault !== undefined) throw fault;
      const remedy = url.startsWith("ws:")
        ? "A page that came over https: may use wss:// only"
        : "See the WebSocket's own error, which is the cause";
      throw new UrlError(url, `No WebSocket can be made to ${url}`, remedy, { cause });
    }
    this.#listen(address);
  }

  #listen(address: ServerAddress): void {
    const { url, isSecure } = address;
    const socket = this.#socket;
    const handler = this.#handler;
    const splitter = new FrameSplitter((frame) => {
      if (!this.#isOver) handler.onFrame(frame);
    });
    let detail = "";
    let wasOpen = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      wasOpen = true;
      if (!this.#isOver) handler.onOpen();
    };
    socket.onmessage = ({ data }: { readonly data: string | ArrayBuffer }) => {
      if (this.#isOver) return;
      try {
        if (typeof data === "string") splitter.pushText(data);
        else splitter.pushBytes(new Uint8Array(data));
      } catch (cause) {
        this.#end(new ConnectionError(`${url} sent no valid frame`, { cause }));
      }
    };
    socket.onerror = (event: { readonly message?: string }) => detail ||= event.message ?? "";
    socket.onclose = ({ code, reason }: { readonly code?: number; readonly reason?: string }) => {
      const words = [`WebSocket code ${code}`, reason, detail].filter((each) => !!each).join(", ");
      // Browsers don't tell.
      const fault = wasOpen ? undefined : webSocketFault(address, words) ??
        (isSecure ? certificateFault(url, words, TRUST) : undefined);
      this.#end(fault ?? new ConnectionError(`The connection to ${url} has ended: ${words}`));
    };
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    socket.send(this.#utf8.decode(bytes));
    if (socket.bufferedAmount < FULL_BYTES) return true;
    this.#looking ??= setTimeout(() => this.#look(), LOOK_MS);
    return false;
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    // A browser that waits for the other side may take a minute.
    this.#socket.close(1000);
  }

  destroy(): void {
    this.#end(new ConnectionError("The connection was given up"));
  }

  #look(): void {
    this.#looking = undefined;
    if (this.#isOver) return;
    if (this.#socket.bufferedAmount < FULL_BYTES / 2) return this.#handler.onDrain();
    this.#looking = setTimeout(() => this.#look(), LOOK_MS);
  }

  #end(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#looking);
    // An error event may still come, which Node's `ws` throws unless it is heard.
    this.#socket.onopen = this.#socket.onmessage = null;
    try {
      this.#socket.close();
    } catch {
      // It was never open.
    }
    queueMicrotask(() => this.#handler.onClose(error));
  }
}
