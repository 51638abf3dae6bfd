import { ClientDecoder, type ClientDecoderLimits } from "../../../protocol/client_decoder.ts";
import type { ClientFrames } from "../../../protocol/client_frames.ts";
import { ProtocolError } from "../../../protocol/errors.ts";
import { utf8Bytes } from "../../../protocol/framing/frames.ts";
import { FrameFault } from "./frames.ts";

/** Bytes in front of each message: its length, its timestamp, its kind, its topic's length. */
const HEADER_BYTES = 4 + 8 + 1 + 2;

const PUBLISH = utf8Bytes("PUBLISH\x00");
const TERMINATOR = utf8Bytes("\x00");

/** A message of another machine. */
export interface RemoteMessage {
  readonly topic: string;
  readonly micros: number;
  /** A part of the batch. */
  readonly message: Uint8Array;
  readonly wantsReceipt: boolean;
}

/** How a batch is read. */
export interface ReadOptions {
  /** What is later can't have been issued. */
  readonly maxMicros: number;
  /** The timestamp behind which messages are of interest; all are unless given. */
  readonly after?: number;
  /** True if the messages themselves need no check. */
  readonly isChecked?: boolean;
}

/** Reads the messages of batches that come from other machines, and checks each as a client's. */
export class MessageReader {
  readonly #limits: ClientDecoderLimits & { readonly maxTopicBytes: number };
  readonly #text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  readonly #found = new Found();
  #decoder: ClientDecoder | undefined;

  constructor(limits: ClientDecoderLimits & { readonly maxTopicBytes: number }) {
    this.#limits = limits;
  }

  /**
   * The messages of a batch behind a timestamp. Those in front are passed over, and not checked.
   *
   * @param previous The timestamp in front of the first.
   * @throws {FrameFault} if it isn't valid.
   */
  read(
    bytes: Uint8Array,
    previous: number,
    { maxMicros, after = -1, isChecked = false }: ReadOptions,
  ): RemoteMessage[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const messages: RemoteMessage[] = [];
    let last = previous;
    for (let start = 0; start < bytes.length;) {
      if (bytes.length - start < HEADER_BYTES) throw new FrameFault("a message that is cut off");
      const end = start + view.getUint32(start, true);
      const micros = view.getFloat64(start + 4, true);
      const kind = view.getUint8(start + 12);
      const topicEnd = start + HEADER_BYTES + view.getUint16(start + 13, true);
      if (end > bytes.length || topicEnd > end) throw new FrameFault("a message of a wrong length");
      if (!Number.isSafeInteger(micros) || micros <= last || micros > maxMicros) {
        throw new FrameFault("a message with a wrong timestamp");
      }
      if (kind > 1) throw new FrameFault(`a message of an unknown kind, ${kind}`);
      last = micros;
      const from = start;
      start = end;
      if (micros <= after) continue;
      const topic = this.#topicOf(bytes.subarray(from + HEADER_BYTES, topicEnd));
      const message = bytes.subarray(topicEnd, end);
      if (!isChecked) this.#check(topic, message);
      messages.push({ topic, micros, message, wantsReceipt: kind === 1 });
    }
    if (bytes.length === 0) throw new FrameFault("a batch without messages");
    return messages;
  }

  #topicOf(bytes: Uint8Array): string {
    if (bytes.length > this.#limits.maxTopicBytes) throw new FrameFault("too long a topic");
    try {
      return this.#text.decode(bytes);
    } catch (error) {
      throw new FrameFault("a topic that isn't UTF-8", { cause: error });
    }
  }

  /** Checks that a message is one JSON object with this topic, and no longer than clients' may be. */
  #check(topic: string, message: Uint8Array): void {
    const decoder = this.#decoder ??= new ClientDecoder(this.#limits);
    const found = this.#found;
    found.topic = undefined;
    found.byteLength = message.length;
    try {
      decoder.push(PUBLISH, found);
      decoder.push(message, found);
      decoder.push(TERMINATOR, found);
      if (found.topic !== topic) throw new FrameFault("a message that isn't its topic's");
    } catch (error) {
      // It may be in the middle of a message.
      decoder.discard();
      this.#decoder = undefined;
      if (!(error instanceof ProtocolError)) throw error;
      throw new FrameFault(error.message, { cause: error });
    }
  }
}

/** Takes the topic of the one message that there should be, and refuses what else there is. */
class Found implements ClientFrames {
  readonly onPublishForReceipt = refuse;
  readonly onSubscribe = refuse;
  readonly onUnsubscribe = refuse;
  readonly onAuthenticate = refuse;
  readonly onIdleFrame = refuse;
  topic: string | undefined;
  byteLength = 0;

  onPublish(topic: string, message: Uint8Array): void {
    if (this.topic !== undefined || message.length !== this.byteLength) refuse();
    this.topic = topic;
  }
}

function refuse(): never {
  throw new FrameFault("no message alone");
}
