import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import { ChunkWriter } from "../client/chunk_writer.ts";
import { encodeFrame, FrameDecoder, FrameError, type Members } from "./frames.ts";
import { BEAT_MS, MAX_FRAME_BYTES, MAX_GREETING_BYTES, SILENCE_MS } from "./limits.ts";

/** The owner of a link. */
export interface LinkOwner {
  /** A frame has arrived. */
  onFrame(members: Members): void;
  /**
   * The link has ended, or the other side is given up. Comes once, as the last call; not after
   * {@linkcode Link.end}.
   *
   * @param how The reason, as the end of a sentence about the other side: "it closed the connection".
   */
  onEnd(how: string): void;
}

/** A connection between a leader and an agent, at either end. */
export class Link implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #owner: LinkOwner;
  readonly #writer: ChunkWriter;
  readonly #decoder = new FrameDecoder(MAX_GREETING_BYTES);
  readonly #silenceMs: number;
  #silentMs = 0;
  #beat: ReturnType<typeof setInterval> | undefined;
  #farewell: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /** @param silenceMs Milliseconds of silence after which a trusted side is given up. */
  constructor(connection: Connection, owner: LinkOwner, silenceMs: number = SILENCE_MS) {
    this.#connection = connection;
    this.#silenceMs = silenceMs;
    this.#owner = owner;
    this.#writer = new ChunkWriter(connection);
  }

  /** The other side's IP address. */
  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  /** Sends a frame; nothing after the link's end. */
  send(members: object): void {
    if (!this.#isOver) this.#writer.send(encodeFrame(members));
  }

  /** Sends what only tells how far something is, unless earlier frames wait for the other side to read. */
  sendNews(members: object): void {
    if (this.#writer.isIdle) this.send(members);
  }

  /** Both sides are proven: from now on they take long frames, and show each other that they live. */
  trust(): void {
    this.#decoder.maxBytes = MAX_FRAME_BYTES;
    // Silence is counted by beats, not by the clock: if this process stood still, the other didn't.
    this.#beat = setInterval(() => {
      this.sendNews({ alive: true });
      this.#silentMs += BEAT_MS;
      if (this.#silentMs > this.#silenceMs) {
        this.#fail(`it has said nothing for ${this.#silenceMs / 1000} s`);
      }
    }, BEAT_MS);
  }

  /** Ends the link; what was sent still goes out. May be called more than once. */
  end(): void {
    if (this.#isOver) return;
    this.#stop();
    this.#writer.close();
    // A side that never closes its own end keeps no descriptor of ours.
    this.#farewell = setTimeout(() => this.#connection.destroy(), this.#silenceMs);
  }

  /** Ends the link at once. May be called more than once. */
  drop(): void {
    this.#stop();
    this.#connection.destroy();
  }

  onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#silentMs = 0;
    try {
      this.#decoder.push(chunk, (members) => {
        if (members["alive"] !== true) this.#owner.onFrame(members);
        return !this.#isOver;
      });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#fail(`it sent what makes no sense here: ${error.message}`);
    }
  }

  onDrain(): void {
    this.#writer.onDrain();
  }

  onEnd(): void {
    if (this.#isOver) this.#connection.close();
    this.#fail("it closed the connection");
  }

  onClose(_why: TransportEnd, cause?: Error): void {
    clearTimeout(this.#farewell);
    this.#fail(
      cause === undefined ? "the connection broke" : `the connection broke: ${cause.message}`,
    );
  }

  #fail(how: string): void {
    if (this.#isOver) return;
    this.drop();
    this.#owner.onEnd(how);
  }

  #stop(): void {
    this.#isOver = true;
    clearInterval(this.#beat);
  }
}
