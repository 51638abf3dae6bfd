/**
 * What the wire format costs, without sockets.
 *
 * @module
 */

import { ClientDecoder } from "../../protocol/client_decoder.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { encodePublish, encodeSubscribe, REGULAR_SOCKET } from "../../protocol/client_encoder.ts";
import { ACK, splicedLength, spliceMessage } from "../../protocol/encoder.ts";
import { utf8Bytes } from "../../protocol/framing/frames.ts";
import { ServerDecoder } from "../../protocol/server_decoder.ts";
import { TimestampIssuer } from "../../protocol/timestamp.ts";
import { join } from "../support/bytes.ts";
import type { Case } from "./cases.ts";

const LIMITS = { maxFrameBytes: 64 * 1024 };
const CHUNK_BYTES = 64 * 1024;
const MESSAGE = utf8Bytes(
  '{"topic":"events","event":"test_event","message_id":"","data":"test"}',
);

/** Counts what it hears, so that no work can be optimised away. */
class Counter implements ClientFrames {
  frames = 0;
  messageBytes = 0;
  onSubscribe(): void {
    this.frames++;
  }
  onAuthenticate() {}
  onPublishForReceipt() {}
  onIdleFrame() {}
  onUnsubscribe(): void {
    this.frames++;
  }
  onPublish(_topic: string, message: Uint8Array): void {
    this.frames++;
    this.messageBytes += message.length;
  }
}

function repeat(part: Uint8Array, times: number): Uint8Array {
  return join(Array.from({ length: times }, () => part));
}

/** Cuts a stream as a socket that reads 64 KiB at a time does, frames split at the edges included. */
function inChunks(stream: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += CHUNK_BYTES) {
    chunks.push(stream.slice(at, at + CHUNK_BYTES));
  }
  return chunks;
}

function check(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`);
}

const CONNECTIONS = 1_000;
const PIPELINED = 10_000;
const LARGE = 100;
const subscriber = join([REGULAR_SOCKET, encodeSubscribe("events")]);
const legacyPublisher = join([REGULAR_SOCKET, encodePublish(MESSAGE, { pipelined: false })]);
const spliced = new Uint8Array(PIPELINED * splicedLength(MESSAGE.length));
const issuer = new TimestampIssuer();

function spliceAll(): number {
  let end = 0;
  for (let i = 0; i < PIPELINED; i++) end = spliceMessage(spliced, end, issuer.next(), MESSAGE);
  return end;
}

const delivered = inChunks(join([ACK, spliced.slice(0, spliceAll())]));

function largeMessage(character: string): Uint8Array {
  const length = 16_000 / utf8Bytes(character).length;
  return utf8Bytes(`{"topic":"events","data":"${character.repeat(length)}"}`);
}

/** About 64 kB of members whose names are all spelled by escapes, as slow to compare as names get. */
function escapedNames(): Uint8Array {
  const member = String.raw`,"\u0074\u0069\u006dx":0`;
  const members = member.repeat(Math.floor(64_000 / member.length));
  return utf8Bytes(`{"topic":"events"${members}}`);
}

/** Containers in each other, as deep as a frame allows. */
function nested(open: string, close: string): Uint8Array {
  const depth = Math.floor(64_000 / (open.length + close.length));
  return utf8Bytes(`{"topic":"events","data":${open.repeat(depth)}0${close.repeat(depth)}}`);
}

function pipelinedCase(size: string, message: Uint8Array, count: number): Case {
  const chunks = inChunks(repeat(encodePublish(message, { pipelined: true }), count));
  return {
    name: `decode pipelined publishes of ${size}, chunks of 64 KiB`,
    unit: "frame",
    count: count,
    run() {
      const counter = new Counter();
      const decoder = new ClientDecoder(LIMITS);
      for (const chunk of chunks) decoder.push(chunk, counter);
      check("publishes", counter.frames, count);
      check("bytes", counter.messageBytes, count * message.length);
    },
  };
}

/** The codec's cases. */
export const PROTOCOL_CASES: readonly Case[] = [
  {
    name: "decode one subscriber's first segment, a new decoder each",
    unit: "frame",
    count: CONNECTIONS,
    run() {
      const counter = new Counter();
      for (let i = 0; i < CONNECTIONS; i++) new ClientDecoder(LIMITS).push(subscriber, counter);
      check("subscribes", counter.frames, CONNECTIONS);
    },
  },
  {
    name: "decode one 2009 publisher's only segment, a new decoder each",
    unit: "frame",
    count: CONNECTIONS,
    run() {
      const counter = new Counter();
      for (let i = 0; i < CONNECTIONS; i++) {
        new ClientDecoder(LIMITS).push(legacyPublisher, counter);
      }
      check("publishes", counter.frames, CONNECTIONS);
    },
  },
  pipelinedCase("69 bytes", MESSAGE, PIPELINED),
  pipelinedCase("16 kB of ASCII", largeMessage("x"), LARGE),
  pipelinedCase("16 kB of two-byte characters", largeMessage("я"), LARGE),
  pipelinedCase("64 kB of members with escaped names", escapedNames(), LARGE),
  pipelinedCase("64 kB of arrays in each other", nested("[", "]"), LARGE),
  pipelinedCase("64 kB of objects in each other", nested('{"":', "}"), LARGE),
  {
    name: "timestamp and splice a message of 69 bytes",
    unit: "frame",
    count: PIPELINED,
    run: () => void spliceAll(),
  },
  {
    name: "split a subscriber's stream into frames, chunks of 64 KiB",
    unit: "frame",
    count: PIPELINED + 1,
    run() {
      let frames = 0;
      const decoder = new ServerDecoder();
      for (const chunk of delivered) decoder.push(chunk, () => frames++);
      check("frames", frames, PIPELINED + 1);
    },
  },
];
