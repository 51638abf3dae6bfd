/**
 * Feeds a client's stream to the decoder as unkindly as a runtime may: chunks are views into a
 * larger buffer, and are overwritten as soon as the call returns.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ClientDecoder, type ClientDecoderLimits } from "../../protocol/client_decoder.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { type ErrorCode, ProtocolError } from "../../protocol/errors.ts";
import { TopicSpellings } from "../../protocol/topic_spellings.ts";
import type { ResumeRequest } from "../../protocol/resume.ts";

export const DEFAULT_LIMITS = { maxFrameBytes: 64 * 1024 };

/** As in a server, all decoders share it. */
const SPELLINGS = new TopicSpellings();

function newDecoder(limits: ClientDecoderLimits): ClientDecoder {
  return new ClientDecoder(limits, undefined, SPELLINGS);
}

/** One call of the sink: what was asked, the topic, and for a publish the bytes one character each. */
export type Heard =
  | readonly ["subscribe", string]
  | readonly ["resume", string, ResumeRequest]
  | readonly ["unsubscribe", string]
  | readonly ["authenticate", string]
  | readonly ["publish" | "publish for receipt", string, string];

/** The result of a stream. */
export interface Outcome {
  readonly heard: readonly Heard[];
  /** The code of the violation that ended it. */
  readonly error?: ErrorCode;
}

/** Bytes from text, each character up to U+00FF one byte. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The reverse of {@linkcode latin1}. */
export function asLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** Writes down what it hears. */
export class Recorder implements ClientFrames {
  readonly heard: Heard[] = [];
  onSubscribe(topic: string, resume: ResumeRequest | undefined): void {
    this.heard.push(resume === undefined ? ["subscribe", topic] : ["resume", topic, resume]);
  }
  onUnsubscribe(topic: string): void {
    this.heard.push(["unsubscribe", topic]);
  }
  onAuthenticate(key: string): void {
    this.heard.push(["authenticate", key]);
  }
  onPublish(topic: string, message: Uint8Array): void {
    this.heard.push(["publish", topic, asLatin1(message)]);
  }
  onPublishForReceipt(topic: string, message: Uint8Array): void {
    this.heard.push(["publish for receipt", topic, asLatin1(message)]);
  }
  onIdleFrame(): void {}
}

/** Pushes one chunk, and sees to it that the decoder neither changes nor keeps it. */
function pushUnkindly(decoder: ClientDecoder, bytes: Uint8Array, sink: ClientFrames): void {
  const memory = new Uint8Array(bytes.length + 16);
  const chunk = memory.subarray(7, 7 + bytes.length);
  chunk.set(bytes);
  try {
    decoder.push(chunk, sink);
  } finally {
    assertEquals(asLatin1(chunk), asLatin1(bytes), "the decoder wrote to the chunk");
    memory.fill(0x7d);
  }
}

/** Decodes `stream` cut at `cuts`, ascending offsets. */
export function decodeCut(
  stream: Uint8Array,
  cuts: readonly number[] = [],
  limits = DEFAULT_LIMITS,
): Outcome {
  const decoder = newDecoder(limits);
  const recorder = new Recorder();
  try {
    let from = 0;
    for (const to of [...cuts, stream.length]) {
      pushUnkindly(decoder, stream.subarray(from, to), recorder);
      from = to;
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { heard: recorder.heard, error: error.code };
  }
  return { heard: recorder.heard };
}

/** True if a decoder takes the client for one of 2009 after a whole stream cut at `cuts`. */
export function isLegacyCut(
  stream: Uint8Array,
  cuts: readonly number[] = [],
  limits = DEFAULT_LIMITS,
): boolean {
  const decoder = newDecoder(limits);
  try {
    let from = 0;
    for (const to of [...cuts, stream.length]) {
      pushUnkindly(decoder, stream.subarray(from, to), new Recorder());
      from = to;
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  return decoder.isLegacy;
}

/** The error that a stream given in one chunk ends with, or `undefined`. */
export function violation(stream: Uint8Array, limits = DEFAULT_LIMITS): ProtocolError | undefined {
  try {
    newDecoder(limits).push(stream, new Recorder());
    return undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

/** Every offset of `stream`: byte by byte. */
export function everyByte(stream: Uint8Array): number[] {
  return Array.from({ length: stream.length }, (_, offset) => offset);
}
