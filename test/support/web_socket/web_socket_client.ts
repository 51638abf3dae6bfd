import { connect, type Socket } from "node:net";
import { join } from "../bytes.ts";
import { until } from "../until.ts";
import { CLOSE, frame, PONG, type ReadFrame, readFrames, request, TEXT } from "./frames.ts";

/** A client of a server's port for WebSockets that may break all rules. */
export class WebSocketClient {
  readonly #socket: Socket;
  #chunks: Uint8Array[] = [];
  #frames: ReadFrame[] = [];
  #isOpen = false;
  /** The status line and the header that answered the handshake. */
  answer = "";
  /** True when the server has ended its side, or has aborted the connection. */
  hasEnded = false;
  wasReset = false;

  private constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    this.#socket.on("data", (chunk: Uint8Array) => this.#chunks.push(chunk));
    this.#socket.on("end", () => this.hasEnded = true);
    this.#socket.on("error", () => this.wasReset = true);
    this.#socket.on("close", () => this.hasEnded = true);
  }

  /** Begins to connect, and sends nothing by itself. */
  static bare(port: number): WebSocketClient {
    return new WebSocketClient(port);
  }

  /** Connects, and waits for the answer to the handshake. */
  static async open(port: number, handshake: Uint8Array = request()): Promise<WebSocketClient> {
    const client = new WebSocketClient(port);
    client.send(handshake);
    await client.answered();
    return client;
  }

  /** Waits for the answer to the handshake. */
  async answered(limitMs?: number): Promise<void> {
    await until("the handshake is answered", () => this.#takeAnswer() || this.hasEnded, limitMs);
  }

  #takeAnswer(): boolean {
    if (this.#isOpen) return true;
    const bytes = join(this.#chunks);
    const text = new TextDecoder("latin1").decode(bytes);
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) return false;
    this.answer = text.slice(0, end);
    this.#chunks = [bytes.slice(end + 4)];
    return this.#isOpen = true;
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+) /.exec(this.answer)?.[1]);
  }

  /** Sends bytes as they are. */
  send(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Sends frames of the protocol in one message of text. */
  say(text: string): void {
    this.send(frame(TEXT, text));
  }

  /** What has come so far, whole frames only. */
  get frames(): readonly ReadFrame[] {
    const bytes = join(this.#chunks);
    const { frames, taken } = readFrames(bytes);
    this.#chunks = [bytes.slice(taken)];
    this.#frames.push(...frames);
    return this.#frames;
  }

  /** The messages so far. */
  get messages(): string[] {
    return this.frames.filter(({ opcode }) => opcode === TEXT)
      .map(({ payload }) => new TextDecoder("utf-8", { fatal: true }).decode(payload));
  }

  /** The protocol's frames so far. */
  get said(): string[] {
    return this.messages.join("").split("\x01").slice(0, -1);
  }

  get pongs(): number {
    return this.frames.filter(({ opcode }) => opcode === PONG).length;
  }

  /** The code and the reason of the server's close. */
  get close(): { code: number | null; reason: string } | undefined {
    const close = this.frames.find(({ opcode }) => opcode === CLOSE);
    if (close === undefined) return undefined;
    const { payload } = close;
    const code = payload.length === 0 ? null : payload[0]! * 256 + payload[1]!;
    return { code, reason: new TextDecoder().decode(payload.subarray(2)) };
  }

  /** Waits until so many of the protocol's frames have come. */
  async heard(count: number): Promise<string[]> {
    await until(`${count} frames have come`, () => this.said.length >= count || this.hasEnded);
    return this.said;
  }

  /** Subscribes, and waits for the answer. */
  async subscribe(topic: string): Promise<void> {
    this.say(`{"action":"subscribe","data":${JSON.stringify(topic)}}\0`);
    const before = this.said.filter((one) => one === "ACK").length;
    await until(
      "the subscribe is answered",
      () => this.said.filter((one) => one === "ACK").length > before,
    );
  }

  /** Waits for the server's end. */
  async ended(limitMs?: number): Promise<void> {
    await until("the server ends the connection", () => this.hasEnded, limitMs);
  }

  /** Stops reading. */
  stall(): void {
    this.#socket.pause();
  }

  flow(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  dispose(): void {
    this.#socket.destroy();
  }
}
