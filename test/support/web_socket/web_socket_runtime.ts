/**
 * A runtime whose connections speak WebSocket, so that whatever holds for connections can be asked of
 * these.
 *
 * @module
 */

import { encodeFrame, OPCODES } from "../../../runtime/websocket/frames.ts";
import type { WebSocketConnection } from "../../../runtime/websocket/connection.ts";
import { acceptWebSockets, WebSocketConnector } from "../../../runtime/websocket/layer.ts";
import { OriginRules } from "../../../runtime/websocket/origins.ts";
import type {
  Accept,
  Address,
  Connection,
  ConnectOptions,
  Listener,
  ListenOptions,
  Runtime,
  TlsIdentity,
  TlsTrust,
} from "../../../runtime/types.ts";
import type { RawPeer } from "../clients/raw_peer.ts";
import { join } from "../bytes.ts";
import { until } from "../until.ts";
import { BINARY, frame, readFrames, request, TEXT } from "./frames.ts";

/** WebSocket upon another runtime's connections. */
export class WebSocketRuntime implements Runtime {
  readonly #below: Runtime;

  constructor(below: Runtime) {
    this.#below = below;
  }

  /** The runtime beneath. */
  get below(): Runtime {
    return this.#below;
  }

  get name(): Runtime["name"] {
    return this.#below.name;
  }

  get version(): string {
    return this.#below.version;
  }

  get writesPerTurn(): number {
    return this.#below.writesPerTurn;
  }

  get residentBytes(): number {
    return this.#below.residentBytes;
  }

  giveBack(): void {
    this.#below.giveBack();
  }

  tryIdentity(identity: TlsIdentity, what: string): Promise<void> {
    return this.#below.tryIdentity(identity, what);
  }

  soon(task: () => void): void {
    this.#below.soon(task);
  }

  nextTurn(task: () => void): void {
    this.#below.nextTurn(task);
  }

  afterTurn(isBusy: () => boolean, task: () => void): void {
    this.#below.afterTurn(isBusy, task);
  }

  listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    const origins = new OriginRules(undefined);
    return this.#below.listen(
      options,
      acceptWebSockets(origins, (connection) => accept(new FramedConnection(connection))),
    );
  }

  connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    return new WebSocketConnector(this.#below).connect(options, accept);
  }
}

/** A server's side that takes any bytes, each chunk as one message. */
class FramedConnection implements Connection {
  readonly #connection: WebSocketConnection;
  #chunkBytes = 0;

  constructor(connection: WebSocketConnection) {
    this.#connection = connection;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get remotePort(): number {
    return this.#connection.remotePort;
  }

  get unsentBytes(): number {
    return Math.min(this.#connection.unsentBytes, this.#chunkBytes);
  }

  get copiedBytes(): number {
    return this.#connection.copiedBytes;
  }

  get heldBytes(): number {
    return this.#connection.heldBytes;
  }

  get hasUndelivered(): boolean {
    return this.#connection.hasUndelivered;
  }

  write(chunk: Uint8Array): boolean {
    const bytes = chunk.length === 0 ? chunk : encodeFrame(OPCODES.binary, chunk);
    const isSent = this.#connection.write(bytes);
    this.#chunkBytes = chunk.length;
    return isSent;
  }

  pauseReading(): void {
    this.#connection.pauseReading();
  }

  resumeReading(): void {
    this.#connection.resumeReading();
  }

  close(): void {
    this.#connection.close();
  }

  takeArrived(): number {
    return this.#connection.takeArrived();
  }

  release(): void {
    this.#connection.release();
  }

  destroy(): void {
    this.#connection.destroy();
  }
}

/** Speaks WebSocket over another raw peer. */
export async function dialRawWebSocket(
  dial: (address: Address, tls?: TlsTrust) => Promise<RawPeer>,
  address: Address,
  tls?: TlsTrust,
): Promise<RawPeer> {
  const below = await dial(address, tls);
  const peer = new RawWebSocket(below);
  below.send(request());
  await until("the handshake is answered", () => peer.isOpen || below.failed || below.ended);
  return peer;
}

class RawWebSocket implements RawPeer {
  readonly #below: RawPeer;

  constructor(below: RawPeer) {
    this.#below = below;
  }

  get #start(): number {
    const text = new TextDecoder("latin1").decode(this.#below.received.subarray(0, 1_000));
    const end = text.indexOf("\r\n\r\n");
    return end === -1 ? -1 : end + 4;
  }

  get isOpen(): boolean {
    return this.#start >= 0;
  }

  get received(): Uint8Array {
    const { frames } = readFrames(this.#below.received.subarray(this.#start));
    const messages = frames.filter(({ opcode }) => opcode === BINARY || opcode === TEXT);
    return join(messages.map(({ payload }) => payload));
  }

  get ended(): boolean {
    return this.#below.ended;
  }

  get failed(): boolean {
    return this.#below.failed;
  }

  send(bytes: Uint8Array): void {
    this.#below.send(frame(BINARY, bytes));
  }

  end(): void {
    this.#below.end();
  }

  reset(): void {
    this.#below.reset();
  }

  stall(): void {
    this.#below.stall();
  }

  flow(): void {
    this.#below.flow();
  }
}
