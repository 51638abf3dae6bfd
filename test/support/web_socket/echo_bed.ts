import type { Connection } from "../../../runtime/types.ts";
import { encodeFrame } from "../../../runtime/websocket/frames.ts";
import { acceptWebSockets } from "../../../runtime/websocket/layer.ts";
import { OriginRules } from "../../../runtime/websocket/origins.ts";
import { join } from "../bytes.ts";
import type { MemoryPeer } from "../memory/memory_peer.ts";
import { MemoryRuntime } from "../memory/memory_runtime.ts";
import { BINARY, CLOSE, PONG, type ReadFrame, readFrames, request } from "./frames.ts";

/** A WebSocket in memory whose other side sends all payloads back, and closes when its peer has. */
export class EchoBed {
  readonly #net: MemoryRuntime;
  readonly #peer: MemoryPeer;
  #start = 0;

  private constructor(net: MemoryRuntime, peer: MemoryPeer) {
    this.#net = net;
    this.#peer = peer;
  }

  /** Opens it, with the handshake done. */
  static async open(): Promise<EchoBed> {
    const net = new MemoryRuntime({ turns: "manual" });
    const accept = acceptWebSockets(new OriginRules(undefined), (connection) => {
      const echo = new Echo(connection);
      return {
        onData: (chunk) => echo.send(chunk),
        onDrain: () => echo.drained(),
        onEnd: () => echo.end(),
        onViolation: () => echo.end(),
        onClose: () => {},
      };
    });
    const listener = await net.listen(net.anywhere, accept);
    const peer = net.dial(listener.address);
    const bed = new EchoBed(net, peer);
    peer.send(request());
    net.settle();
    bed.#start = new TextDecoder("latin1").decode(peer.received).indexOf("\r\n\r\n") + 4;
    return bed;
  }

  /** Sends bytes in pieces, each of which is read before the next. */
  send(bytes: Uint8Array, pieceBytes: number): void {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.#peer.send(bytes.slice(at, at + pieceBytes));
      this.#net.settle();
    }
  }

  get #frames(): ReadFrame[] {
    return readFrames(this.#peer.received.subarray(this.#start)).frames;
  }

  /** The payloads that came back. */
  get echoed(): Uint8Array {
    return join(this.#frames.filter(({ opcode }) => opcode === BINARY).map((one) => one.payload));
  }

  get pongs(): Uint8Array[] {
    return this.#frames.filter(({ opcode }) => opcode === PONG).map(({ payload }) => payload);
  }

  /** The code with which the other side closed, `null` if it gave none; `undefined` if it hasn't. */
  get closeCode(): number | null | undefined {
    const close = this.#frames.find(({ opcode }) => opcode === CLOSE);
    if (close === undefined) return undefined;
    const { payload } = close;
    return payload.length === 0 ? null : payload[0]! * 256 + payload[1]!;
  }
}

/** Sends chunks one after the other, and closes behind them. */
class Echo {
  readonly #connection: Connection;
  readonly #queue: Uint8Array[] = [];
  #isWaiting = false;
  #isEnding = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  send(chunk: Uint8Array): void {
    this.#queue.push(encodeFrame(BINARY, chunk));
    this.#sendNext();
  }

  drained(): void {
    this.#isWaiting = false;
    this.#sendNext();
  }

  end(): void {
    this.#isEnding = true;
    this.#sendNext();
  }

  #sendNext(): void {
    while (!this.#isWaiting) {
      const chunk = this.#queue.shift();
      if (chunk === undefined) break;
      this.#isWaiting = !this.#connection.write(chunk);
    }
    if (this.#isEnding && !this.#isWaiting) this.#connection.close();
  }
}
