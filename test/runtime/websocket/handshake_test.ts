import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import {
  acceptRequest,
  HandshakeRefusal,
  MAX_REQUEST_BYTES,
} from "../../../runtime/websocket/handshake.ts";
import { OriginRules } from "../../../runtime/websocket/origins.ts";
import { RequestHandshake } from "../../../runtime/websocket/request_handshake.ts";
import { request } from "../../support/web_socket/frames.ts";

const sameHost = new OriginRules(undefined);

/** The status of the answer to a request that comes in pieces; `undefined` if none is due yet. */
function statusOf(bytes: Uint8Array, pieceBytes = bytes.length, origins = sameHost) {
  return statusLine(answerTo(bytes, pieceBytes, origins));
}

function statusLine(answer: string | undefined): number | undefined {
  return answer === undefined ? undefined : Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);
}

function answerTo(bytes: Uint8Array, pieceBytes: number, origins: OriginRules) {
  const handshake = new RequestHandshake(origins);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const done = handshake.push(bytes.subarray(at, at + pieceBytes));
      if (done !== undefined) return new TextDecoder().decode(done.answer);
    }
  } catch (error) {
    if (!(error instanceof HandshakeRefusal)) throw error;
    return new TextDecoder().decode(error.answer);
  }
  return undefined;
}

const text = (bytes: string) => new TextEncoder().encode(bytes);

describe("the handshake of a WebSocket", () => {
  it("is answered with the key's digest, as RFC 6455 has it", () => {
    const answer = answerTo(request(), 1_000, sameHost)!;
    assertMatch(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assertStringIncludes(answer, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    assertStringIncludes(answer, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    assertEquals(answer.includes("Sec-WebSocket-Protocol"), false);
    assertEquals(answer.endsWith("\r\n\r\n"), true);
  });

  const rightOnes: Record<string, Uint8Array> = {
    "any path": request({}, "GET /a/b?c=d HTTP/1.1"),
    "names in any case": request({ Upgrade: null, upgrade: "WebSocket", Host: null, hOsT: "a" }),
    "further options of the connection": request({ Connection: "keep-alive, Upgrade" }),
    "two lines of them": request({ Connection: ["keep-alive", "upgrade"] }),
    "an empty body": request({ "Content-Length": "0" }),
    "an empty line in front": text("\r\n" + new TextDecoder().decode(request())),
    "bytes above ASCII's in a value": request({ "User-Agent": "é" }),
    "spaces around a value": request({ "Sec-WebSocket-Version": " \t13 \t" }),
    "extensions, which aren't used": request({ "Sec-WebSocket-Extensions": "permessage-deflate" }),
    "as many bytes as may be": filled(MAX_REQUEST_BYTES),
    "HTTP/1.2": request({}, "GET / HTTP/1.2"),
  };
  for (const [what, bytes] of Object.entries(rightOnes)) {
    it(`may have ${what}`, () => {
      assertEquals(statusOf(bytes), 101);
      assertEquals(statusOf(bytes, 1), 101, "byte by byte");
    });
  }

  const wrongOnes: Record<string, [number, Uint8Array]> = {
    "another method": [405, request({}, "POST / HTTP/1.1")],
    "no method": [400, request({}, "/ HTTP/1.1")],
    "no version": [400, request({}, "GET /")],
    "a version that isn't HTTP's": [400, request({}, "GET / HTTPS/1.1")],
    "HTTP/2": [400, request({}, "GET / HTTP/2.0")],
    "HTTP/1.0, which has no upgrades": [426, request({}, "GET / HTTP/1.0")],
    "two spaces": [400, request({}, "GET  / HTTP/1.1")],
    "no host": [400, request({ Host: null })],
    "two hosts": [400, request({ Host: ["a", "b"] })],
    "no upgrade": [426, request({ Upgrade: null })],
    "another upgrade": [426, request({ Upgrade: "h2c" })],
    "no upgrade of the connection": [426, request({ Connection: "keep-alive" })],
    "an old version of WebSocket": [426, request({ "Sec-WebSocket-Version": "8" })],
    "no version of WebSocket": [426, request({ "Sec-WebSocket-Version": null })],
    "no key": [400, request({ "Sec-WebSocket-Key": null })],
    "a short key": [400, request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZQ==" })],
    "two keys": [400, request({ "Sec-WebSocket-Key": Array(2).fill("dGhlIHNhbXBsZSBub25jZQ==") })],
    "a body": [400, request({ "Content-Length": "5" })],
    "a body in chunks": [400, request({ "Transfer-Encoding": "chunked" })],
    "a line that begins with a space": [400, request({ " A": "b" })],
    "a space behind a name": [400, request({ "A ": "b" })],
    "a line without a colon": [400, text("GET / HTTP/1.1\r\nHost\r\n\r\n")],
    "a line that ends in LF alone": [400, text("GET / HTTP/1.1\nHost: a\n\n")],
    "a NUL": [400, text("<regular-socket/>\0PUBLISH\0")],
    "a TLS greeting": [400, new Uint8Array([0x16, 3, 1, 2, 0, 1, 0])],
    "too many bytes": [431, filled(MAX_REQUEST_BYTES + 1)],
    "a first line without an end": [431, text("G".repeat(MAX_REQUEST_BYTES))],
    "a page of another host": [403, request({ Origin: "http://evil.example" })],
    "two origins": [400, request({ Origin: ["http://127.0.0.1", "http://127.0.0.1"] })],
  };
  for (const [what, [status, bytes]] of Object.entries(wrongOnes)) {
    it(`is refused with ${status} when it has ${what}`, () => {
      assertEquals(statusOf(bytes), status);
      assertEquals(statusOf(bytes, 1), status, "byte by byte");
      const answer = answerTo(bytes, 1_000, sameHost)!;
      const [header, body] = answer.split("\r\n\r\n");
      assertStringIncludes(header!, `\r\nContent-Length: ${body!.length}\r\n`);
      assertStringIncludes(header!, "\r\nConnection: close");
      if (status === 405) assertStringIncludes(header!, "\r\nAllow: GET\r\n");
      if (status === 426) assertStringIncludes(header!, "\r\nSec-WebSocket-Version: 13\r\n");
    });
  }

  it("is waited for while it's incomplete, in no more memory than it may take", () => {
    const handshake = new RequestHandshake(sameHost);
    const bytes = filled(MAX_REQUEST_BYTES);
    for (let at = 0; at < bytes.length - 1; at++) {
      assertEquals(handshake.push(bytes.subarray(at, at + 1)), undefined);
    }
    assertEquals(handshake.heldBytes, MAX_REQUEST_BYTES);
    assertEquals(handshake.push(bytes.subarray(-1))?.taken, 1);
    assertEquals(handshake.heldBytes, 0);
  });

  it("leaves what comes behind it", () => {
    const bytes = new Uint8Array([...request(), 1, 2, 3]);
    assertEquals(new RequestHandshake(sameHost).push(bytes)?.taken, bytes.length - 3);
  });

  it("agrees on the subprotocol if it's asked for", () => {
    const asked = (protocols: string | string[]) =>
      new TextDecoder().decode(
        acceptRequest(request({ "Sec-WebSocket-Protocol": protocols }), sameHost),
      ).includes("\r\nSec-WebSocket-Protocol: hotwheels.v1\r\n\r\n");
    assertEquals(asked("hotwheels.v1"), true);
    assertEquals(asked("soap, hotwheels.v1"), true);
    assertEquals(asked(["soap", "hotwheels.v1"]), true);
    assertEquals(asked("hotwheels.v2"), false);
  });
});

describe("the rules for origins", () => {
  function allows(origin: string | undefined, host: string, allowed?: string[]): boolean {
    return new OriginRules(allowed).allows(origin, host);
  }

  it("allow pages of the same host by default, from any port", () => {
    assertEquals(allows(undefined, "example.com:8080"), true);
    assertEquals(allows("http://example.com", "example.com:8080"), true);
    assertEquals(allows("https://EXAMPLE.com:8443", "Example.com"), true);
    assertEquals(allows("http://[::1]:3000", "[::1]:8080"), true);
    assertEquals(allows("http://example.com.evil.example", "example.com"), false);
    assertEquals(allows("http://sub.example.com", "example.com"), false);
    assertEquals(allows("http://[::1]", "[::2]:8080"), false);
    assertEquals(allows("null", "null"), false);
    assertEquals(allows("file://", ""), false);
    assertEquals(allows("", ""), false);
  });

  it("allow those that are listed, and no others", () => {
    const list = ["https://app.example", "Other.example", "third.example:8443"];
    assertEquals(allows("https://app.example", "any", list), true);
    assertEquals(allows("http://app.example", "any", list), false);
    assertEquals(allows("http://other.example", "any", list), true);
    assertEquals(allows("https://third.example:8443", "any", list), true);
    assertEquals(allows("https://third.example", "any", list), false);
    assertEquals(allows("http://same.example", "same.example", list), false);
    assertEquals(allows("null", "any", list), false);
    assertEquals(allows(undefined, "any", list), true);
    assertEquals(allows("null", "any", ["null"]), true);
    assertEquals(allows("http://any.example", "any", ["a.example", "*"]), true);
    assertEquals(allows("null", "any", ["*"]), true);
  });

  it("are origins or hosts", () => {
    const wrong = ["", " ", "https://a.example/", "https://a.example/path", "a b", "https://", "é"];
    for (const one of wrong) assertThrows(() => new OriginRules(["a.example", one]), RangeError);
  });
});

/** A handshake of so many bytes. */
function filled(length: number): Uint8Array {
  const filler = "x".repeat(length - request({ Filler: "" }).length);
  return request({ Filler: filler });
}
