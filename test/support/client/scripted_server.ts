import { joinBytes } from "../../../protocol/framing/join_bytes.ts";
import { createHash } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Door, Script } from "./bed.ts";

const GREETING = '{"timestamp":[1,2,3],"token":"00000000000000000000000000000000"}\x01';
const WEB_SOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A server that keeps to a script, and can end after any byte. */
export class ScriptedServer {
  /** The frames that clients have said, by connection. */
  readonly heard: string[][] = [];
  readonly #door: Door;
  readonly #script: Script;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(door: Door, script: Script) {
    this.#door = door;
    this.#script = script;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(door: Door, script: Script): Promise<ScriptedServer> {
    const server = new ScriptedServer(door, script);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const heard: string[] = [];
    const at = this.heard.push(heard) - 1;
    let left = this.#script.cuts?.[at] ?? Infinity;
    /** Sends bytes as far as the script lets it. */
    const send = (bytes: Uint8Array) => {
      if (left < 0) return;
      const part = bytes.subarray(0, left);
      left -= bytes.length;
      socket.write(part);
      if (left > 0) return;
      left = -1;
      socket.end();
    };
    const say = (text: string) => {
      const bytes = new TextEncoder().encode(text);
      send(this.#door === "tcp" ? bytes : webSocketFrame(bytes));
    };
    const onText = textSplitter((frame) => {
      heard.push(frame);
      this.#answer(frame, say, () => socket.end(), at > 0);
    });
    let upgrade = this.#door === "tcp" ? undefined : "";
    let unread: Uint8Array = new Uint8Array();
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (chunk: Uint8Array) => {
      if (this.#door === "tcp") return onText(new TextDecoder().decode(chunk));
      if (upgrade !== undefined) {
        upgrade += new TextDecoder("latin1").decode(chunk);
        const end = upgrade.indexOf("\r\n\r\n");
        if (end === -1) return;
        send(new TextEncoder().encode(handshake(upgrade)));
        upgrade = undefined;
        this.#greet(say);
        return;
      }
      unread = joinBytes(unread, chunk);
      unread = readWebSocketFrames(unread, (opcode, payload) => {
        if (opcode === 8) socket.end();
        else onText(new TextDecoder().decode(payload));
      });
    });
    if (left === 0) socket.end();
    else if (this.#door === "tcp") this.#greet(say);
  }

  #greet(say: (text: string) => void): void {
    say(this.#script.greeting ?? GREETING);
    if (this.#script.pings) say("PING\x01");
  }

  #answer(
    frame: string,
    say: (text: string) => void,
    hangUp: () => void,
    isReturn: boolean,
  ): void {
    const { isMute, isOld, log = [], crashed, withholdsReceipts } = this.#script;
    if (isMute || !frame.startsWith("{")) return;
    const { action, data: topic, resume } = JSON.parse(frame);
    if (action === "publish" && this.#script.hangsUpOnPublish) return hangUp();
    if (action === "publish" && !withholdsReceipts) {
      say('{"timestamp":[1,2,3],"receipt":{"matched":1,"written":1,"queued":0,"evicted":0}}\x01');
    }
    if (action === "authenticate") say("ACK\x01");
    if (action !== "subscribe") return;
    if (isOld) {
      return say(
        "ACK\x01" + log.map(([, ...rest]) => messageText(topic, ...rest)).join(""),
      );
    }
    const at: Record<string, number> = resume.at ?? {};
    const missed = log.filter(([origin, micros]) => micros > (at[origin] ?? 0));
    const answer = {
      topic,
      recovered: resume.at !== undefined,
      reason: resume.at === undefined ? "new" : "ok",
      missed: missed.length,
      at,
      ...(crashed !== undefined && isReturn ? { crashed } : {}),
    };
    let text = `{"timestamp":[1,2,3],"resume":${JSON.stringify(answer)}}\x01ACK\x01`;
    let last = "";
    for (const [origin, ...rest] of missed) {
      if (origin !== last) {
        text += `{"timestamp":[1,2,3],"from":${JSON.stringify({ topic, origin })}}\x01`;
      }
      last = origin;
      text += messageText(topic, ...rest);
    }
    say(text);
  }
}

function messageText(topic: string, micros: number, data: unknown): string {
  const timestamp = [0, Math.floor(micros / 1_000_000), micros % 1_000_000];
  return `${JSON.stringify({ timestamp, topic, data })}\x01`;
}

function textSplitter(onFrame: (frame: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const frames = (rest + text).split("\0");
    rest = frames.pop()!;
    for (const frame of frames) onFrame(frame);
  };
}

function handshake(request: string): string {
  const key = /sec-websocket-key: *(\S+)/i.exec(request)?.[1] ?? "";
  const accept = createHash("sha1").update(key + WEB_SOCKET_GUID).digest("base64");
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: hotwheels.v1\r\n\r\n`;
}

function webSocketFrame(payload: Uint8Array): Uint8Array {
  const head = payload.length < 126
    ? [0x81, payload.length]
    : payload.length < 65_536
    ? [0x81, 126, payload.length >> 8, payload.length & 255]
    : [0x81, 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((bits) => payload.length >> bits & 255)];
  return joinBytes(new Uint8Array(head), payload);
}

/** Reads whole frames of a client; returns the rest. */
function readWebSocketFrames(
  bytes: Uint8Array,
  onFrame: (opcode: number, payload: Uint8Array) => void,
): Uint8Array {
  let start = 0;
  for (;;) {
    const left = bytes.subarray(start);
    if (left.length < 2) return left;
    const short = left[1]! & 127;
    const view = new DataView(left.buffer, left.byteOffset, left.length);
    const sizeBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (left.length < 6 + sizeBytes) return left;
    const length = short === 126
      ? view.getUint16(2)
      : short === 127
      ? Number(view.getBigUint64(2))
      : short;
    const from = 6 + sizeBytes;
    if (left.length < from + length) return left;
    const mask = left.subarray(from - 4, from);
    const payload = left.slice(from, from + length).map((byte, i) => byte ^ mask[i % 4]!);
    onFrame(left[0]! & 15, payload);
    start += from + length;
  }
}
