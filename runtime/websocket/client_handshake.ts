import { Buffer } from "node:buffer";
import type { Handshake } from "./sides.ts";
import { acceptFor, MAX_REQUEST_BYTES, SUBPROTOCOL } from "./handshake.ts";

const CRLF = "\r\n";
const latin1 = new TextDecoder("latin1");
const utf8 = new TextEncoder();

/** The connecting side of a handshake. */
export class ClientHandshake implements Handshake {
  readonly opening: Uint8Array;
  readonly #expected: string;
  #text = "";

  /** @param host The server's name or address, and its port. */
  constructor(host: string) {
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
    this.#expected = acceptFor(key);
    this.opening = utf8.encode(
      [
        "GET / HTTP/1.1",
        `Host: ${host}`,
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Sec-WebSocket-Key: ${key}`,
        "Sec-WebSocket-Version: 13",
        `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
        CRLF,
      ].join(CRLF),
    );
  }

  get heldBytes(): number {
    return this.#text.length;
  }

  /** @throws {Error} if the server refuses, or doesn't speak WebSocket. */
  push(chunk: Uint8Array): { taken: number } | undefined {
    const before = this.#text.length;
    this.#text += latin1.decode(chunk);
    const end = this.#text.indexOf(CRLF + CRLF);
    if (end === -1) {
      if (this.#text.length < MAX_REQUEST_BYTES) return undefined;
      throw new Error("the server's answer is too long");
    }
    const [status, ...lines] = this.#text.slice(0, end).split(CRLF);
    if (!/^HTTP\/1\.1 101 /.test(status!)) throw new Error(`the server says ${status}`);
    const accept = lines.map((line) => /^sec-websocket-accept:\s*(\S+)\s*$/i.exec(line)?.[1]);
    if (!accept.includes(this.#expected)) {
      throw new Error("the server's Sec-WebSocket-Accept is wrong");
    }
    return { taken: end + 2 * CRLF.length - before };
  }
}
