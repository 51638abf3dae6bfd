import type { FrameTracer, TracedClient } from "../session/session_context.ts";
import { TokenBucket } from "../timing/token_bucket.ts";
import { MAX_TRACED_BYTES, TRACE_FLUSH_MS, TRACE_FRAMES_PER_SECOND } from "./limits.ts";

/** Selects the clients whose frames are traced: those that match all members that are given. */
export interface TraceFilter {
  /** They are subscribed to this topic, or ask for something with it. */
  readonly topic?: string;
  readonly address?: string;
  readonly port?: number;
}

/** A frame that a client sent, or was sent. */
export interface TracedFrame {
  /** The time, in milliseconds since the Unix epoch. */
  readonly timeMs: number;
  readonly address: string;
  readonly port: number;
  readonly from: "client" | "server";
  /** The bytes of a message, or of a frame of the server's; 0 for other frames of a client's. */
  readonly bytes: number;
  /** Its text, cut if it is long. Keys and tokens are left out. */
  readonly text: string;
}

/** Receives frames, and the number of those that were too many. */
export type TraceSink = (frames: readonly TracedFrame[], skipped: number) => void;

const FRAME_END = 1;

/** The text in place of a key. */
const BLANK = "…";

const TOKEN = /"token":"[^"]*"/;

const decoder = new TextDecoder();

/** Shows the frames of some clients to watchers. Sessions know it only while there is a watcher. */
export class Tracer implements FrameTracer {
  readonly #watches = new Set<Watch>();

  /**
   * Begins to watch.
   *
   * @param onFrames Called some times a second if there is something to tell.
   * @returns Ends the watch.
   */
  watch(filter: TraceFilter, onFrames: TraceSink): () => void {
    const watch = new Watch(filter, onFrames);
    this.#watches.add(watch);
    return () => {
      watch.end();
      this.#watches.delete(watch);
    };
  }

  /** True while there is a watcher. */
  get isWatched(): boolean {
    return this.#watches.size > 0;
  }

  asked(client: TracedClient, action: "subscribe" | "unsubscribe", topic: string): void {
    const text = () => JSON.stringify({ action, data: topic });
    for (const watch of this.#watches) watch.show(client, topic, "client", 0, text);
  }

  authenticated(client: TracedClient): void {
    const text = () => JSON.stringify({ action: "authenticate", data: BLANK });
    for (const watch of this.#watches) watch.show(client, undefined, "client", 0, text);
  }

  published(client: TracedClient, topic: string, message: Uint8Array, wantsReceipt: boolean): void {
    const text = () => {
      const json = textOf(message);
      return wantsReceipt ? `{"action":"publish","data":${json}}` : `PUBLISH ${json}`;
    };
    const { byteLength } = message;
    for (const watch of this.#watches) watch.show(client, topic, "client", byteLength, text);
  }

  idled(client: TracedClient): void {
    const text = () => "PING, PONG, an empty frame or <regular-socket/>";
    for (const watch of this.#watches) watch.show(client, undefined, "client", 0, text);
  }

  sent(client: TracedClient, bytes: Uint8Array): void {
    for (const watch of this.#watches) {
      for (let start = 0; start < bytes.byteLength;) {
        const found = bytes.indexOf(FRAME_END, start);
        const end = found === -1 ? bytes.byteLength : found;
        const frame = bytes.subarray(start, end);
        watch.show(
          client,
          undefined,
          "server",
          frame.byteLength,
          () => textOf(frame).replace(TOKEN, `"token":"${BLANK}"`),
        );
        start = end + 1;
      }
    }
  }
}

/** One watch: so many frames a second at most, and no more are looked at. */
class Watch {
  readonly #filter: TraceFilter;
  readonly #onFrames: TraceSink;
  readonly #rate = new TokenBucket(
    { perSecond: TRACE_FRAMES_PER_SECOND, burst: TRACE_FRAMES_PER_SECOND },
    performance.now(),
  );
  readonly #timer: ReturnType<typeof setInterval>;
  #frames: TracedFrame[] = [];
  #skipped = 0;

  constructor(filter: TraceFilter, onFrames: TraceSink) {
    this.#filter = filter;
    this.#onFrames = onFrames;
    this.#timer = setInterval(() => this.#flush(), TRACE_FLUSH_MS);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#flush();
  }

  /**
   * @param topic The topic that the frame names; `undefined` if it names none.
   * @param textOf Makes the frame's text, if it is to be shown.
   */
  show(
    client: TracedClient,
    topic: string | undefined,
    from: "client" | "server",
    bytes: number,
    textOf: () => string,
  ): void {
    if (!this.#isOf(client, topic)) return;
    if (!this.#rate.hasToken(performance.now())) {
      this.#skipped++;
      return;
    }
    this.#rate.take(performance.now());
    this.#frames.push({
      timeMs: Date.now(),
      address: client.remoteAddress,
      port: client.remotePort,
      from,
      bytes,
      text: textOf(),
    });
  }

  #isOf(client: TracedClient, topic: string | undefined): boolean {
    const { address, port, topic: wanted } = this.#filter;
    if (address !== undefined && client.remoteAddress !== address) return false;
    if (port !== undefined && client.remotePort !== port) return false;
    return wanted === undefined || topic === wanted || client.isSubscribedTo(wanted);
  }

  #flush(): void {
    if (this.#frames.length === 0 && this.#skipped === 0) return;
    const [frames, skipped] = [this.#frames, this.#skipped];
    this.#frames = [];
    this.#skipped = 0;
    this.#onFrames(frames, skipped);
  }
}

function textOf(bytes: Uint8Array): string {
  if (bytes.byteLength <= MAX_TRACED_BYTES) return decoder.decode(bytes);
  return decoder.decode(bytes.subarray(0, MAX_TRACED_BYTES)) + "…";
}
