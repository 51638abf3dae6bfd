import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import {
  behindMarker,
  encodeAuthenticate,
  encodePublish,
  encodeSubscribe,
  encodeUnsubscribe,
  PING,
  PONG,
  REGULAR_SOCKET,
} from "../../protocol/client_encoder.ts";
import { topicProblem } from "../../protocol/topic.ts";
import { decodeCut } from "./client_stream.ts";
import { anyText } from "../support/any_text.ts";

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

describe("the client's words", () => {
  it("are as in 2009, each ended by NUL", () => {
    assertEquals(text(REGULAR_SOCKET), "<regular-socket/>\0");
    assertEquals(text(PING), "PING\0");
    assertEquals(text(PONG), "PONG\0");
  });

  it("stand behind the marker, in one buffer", () => {
    assertEquals(text(behindMarker(PING)), "<regular-socket/>\0PING\0");
    assertEquals(text(PING), "PING\0");
  });
});

describe("encodeSubscribe and encodeUnsubscribe", () => {
  it("write what the 2009 clients write", () => {
    assertEquals(text(encodeSubscribe("events")), '{"action":"subscribe","data":"events"}\0');
    assertEquals(text(encodeUnsubscribe("events")), '{"action":"unsubscribe","data":"events"}\0');
  });

  it("have a sister for keys, which may be any text", () => {
    assertEquals(
      text(encodeAuthenticate('a "key"')),
      '{"action":"authenticate","data":"a \\"key\\""}\0',
    );
  });

  it("refuse a topic that the server would refuse", () => {
    for (const topic of ["", "é".repeat(129), "\ud800"]) {
      assertThrows(() => encodeSubscribe(topic), RangeError, "The topic ");
      assertThrows(() => encodeUnsubscribe(topic), RangeError, "The topic ");
    }
  });

  it("are understood by the server, whatever the topic", () => {
    const topics = anyText().filter((topic) => topicProblem(topic) === undefined);
    fc.assert(fc.property(topics, (topic) => {
      assertEquals(decodeCut(encodeSubscribe(topic)), { heard: [["subscribe", topic]] });
      assertEquals(decodeCut(encodeUnsubscribe(topic)), { heard: [["unsubscribe", topic]] });
    }));
  });
});

describe("encodePublish", () => {
  const message = '{"topic":"ü"}';

  it("leaves a 2009 publisher's MESSAGE without a terminator", () => {
    assertEquals(text(encodePublish(message, { pipelined: false })), `PUBLISH\0${message}`);
  });

  it("terminates a pipelined MESSAGE", () => {
    assertEquals(text(encodePublish(message, { pipelined: true })), `PUBLISH\0${message}\0`);
  });

  it("takes bytes as well as text", () => {
    const bytes = new TextEncoder().encode(message);
    for (const pipelined of [false, true]) {
      assertEquals(encodePublish(bytes, { pipelined }), encodePublish(message, { pipelined }));
    }
  });
});
