/**
 * The handshake of a WebSocket, on the listener's side: an HTTP/1.1 request and its answer (RFC 6455,
 * section 4).
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { OriginRules } from "./origins.ts";

/** The most bytes of a request: its first line, its header, and the empty line behind it. */
export const MAX_REQUEST_BYTES = 8 * 1024;

/** The subprotocol that is answered when a client asks for it. */
export const SUBPROTOCOL = "hotwheels.v1";

const ACCEPT_SALT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** 16 bytes as base64. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

const CR = 0x0d;
const LF = 0x0a;

/** The answer that was made last. */
const answer = new Uint8Array(256);

const latin1 = new TextDecoder("latin1");
const utf8 = new TextEncoder();

const statusTexts = {
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
} as const;

/** The status of a refusal. */
export type RefusalStatus = keyof typeof statusTexts;

/** A request that isn't a handshake, or one that is refused. */
export class HandshakeRefusal extends Error {
  override readonly name = "HandshakeRefusal";
  /** The status of the answer. */
  readonly status: RefusalStatus;
  /** Further lines of the answer's header. */
  readonly #header: string;

  /** @param message The reason in one line of plain text, for the peer's developer. */
  constructor(status: RefusalStatus, message: string, header = "") {
    super(message);
    this.status = status;
    this.#header = header;
  }

  /** The answer, after which the connection is closed. */
  get answer(): Uint8Array {
    const body = `${this.message}\n`;
    return utf8.encode(
      `HTTP/1.1 ${this.status} ${statusTexts[this.status]}\r\n${this.#header}` +
        `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${
          utf8.encode(body).length
        }\r\n` +
        `Connection: close\r\n\r\n${body}`,
    );
  }
}

/**
 * Finds the end of a request.
 *
 * @param from The bytes before it were looked at.
 * @returns The offset behind the request; -1 if it isn't complete.
 * @throws {HandshakeRefusal} if it can't become one, or is too long.
 */
export function requestEnd(bytes: Uint8Array, length: number, from: number): number {
  const end = Math.min(length, MAX_REQUEST_BYTES);
  for (let i = from; i < end; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x20 && byte !== 0x7f || byte === 0x09) continue;
    if (byte === LF) {
      if (bytes[i - 1] !== CR) throw new HandshakeRefusal(400, "A line doesn't end in CR LF");
      if (bytes[i - 2] === LF && i > 2) return i + 1;
    } else if (byte !== CR) {
      throw new HandshakeRefusal(400, "The request has a byte that HTTP doesn't allow");
    }
  }
  if (length < MAX_REQUEST_BYTES) return -1;
  throw new HandshakeRefusal(431, `The header has more than ${MAX_REQUEST_BYTES} bytes`);
}

/**
 * Checks a complete request.
 *
 * @returns The answer that begins the WebSocket, in memory that the next call uses again: thousands of small
 * buffers would stay for a while when thousands of clients come.
 * @throws {HandshakeRefusal} if it isn't a handshake, or isn't allowed.
 */
export function acceptRequest(request: Uint8Array, origins: OriginRules): Uint8Array {
  const lines = latin1.decode(request).replace(/^(?:\r\n)+/, "").split("\r\n");
  // The last two are the empty line.
  const header = parseHeader(lines.slice(1, -2));
  const isOld = checkRequestLine(lines[0]!);
  const host = single(header, "host");
  if (host === undefined && !isOld) throw new HandshakeRefusal(400, "There is no Host");
  if (header.has("transfer-encoding") || !/^0*$/.test(single(header, "content-length") ?? "")) {
    throw new HandshakeRefusal(400, "A handshake has no body");
  }
  const upgrades = listed(header, "upgrade");
  const options = listed(header, "connection");
  // HTTP/1.0 has no upgrades.
  if (isOld || !upgrades.includes("websocket") || !options.includes("upgrade")) {
    throw upgradeRequired("This port speaks WebSocket only");
  }
  if (single(header, "sec-websocket-version") !== "13") {
    throw upgradeRequired("Only version 13 of WebSocket is spoken here");
  }
  const key = single(header, "sec-websocket-key");
  if (key === undefined || !KEY.test(key)) {
    throw new HandshakeRefusal(400, "Sec-WebSocket-Key isn't the base64 of 16 bytes");
  }
  if (!origins.allows(single(header, "origin"), host!)) {
    throw new HandshakeRefusal(403, "Pages of this origin may not connect: see --ws-origins");
  }
  const protocols = (header.get("sec-websocket-protocol") ?? []).join().split(",");
  const isAsked = protocols.some((protocol) => protocol.trim() === SUBPROTOCOL);
  const { written } = utf8.encodeInto(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n` +
      (isAsked ? `Sec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n` : "\r\n"),
    answer,
  );
  return answer.subarray(0, written);
}

/** The `Sec-WebSocket-Accept` for a key. */
export function acceptFor(key: string): string {
  return createHash("sha1").update(key + ACCEPT_SALT).digest("base64");
}

/** @returns True for HTTP/1.0. */
function checkRequestLine(line: string): boolean {
  const [method, target, version, ...more] = line.split(" ");
  const minor = /^HTTP\/1\.(\d)$/.exec(version ?? "")?.[1];
  if (minor === undefined || more.length > 0 || target === "" || !TOKEN.test(method!)) {
    throw new HandshakeRefusal(400, "The first line isn't that of an HTTP/1.1 request");
  }
  if (method !== "GET") {
    throw new HandshakeRefusal(405, "A WebSocket begins with GET", "Allow: GET\r\n");
  }
  return minor === "0";
}

function parseHeader(lines: readonly string[]): Map<string, string[]> {
  const header = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    if (!TOKEN.test(name) || line.includes("\r")) {
      throw new HandshakeRefusal(400, "A line of the header isn't NAME: VALUE");
    }
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    const values = header.get(name);
    if (values === undefined) header.set(name, [value]);
    else values.push(value);
  }
  return header;
}

/** The value of a field that may stand only once. */
function single(header: ReadonlyMap<string, string[]>, name: string): string | undefined {
  const values = header.get(name);
  if (values !== undefined && values.length > 1) {
    throw new HandshakeRefusal(400, `The header has ${name} more than once`);
  }
  return values?.[0];
}

/** The words of a field that is a list, in lower case. */
function listed(header: ReadonlyMap<string, string[]>, name: string): string[] {
  return (header.get(name) ?? []).join().split(",").map((word) => word.trim().toLowerCase());
}

function upgradeRequired(message: string): HandshakeRefusal {
  const header = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
  return new HandshakeRefusal(426, message, header);
}
