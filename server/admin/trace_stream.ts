import type { ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { TracedFrame, TraceFilter } from "../telemetry/tracer.ts";
import {
  DEFAULT_TRACE_SECONDS,
  MAX_TRACE_BACKLOG_BYTES,
  MAX_TRACE_SECONDS,
  MAX_TRACES,
} from "./limits.ts";
import type { AdminSource } from "./source.ts";

/** A trace that is asked for; or the reason why it can't be. */
export type TraceRequest =
  | { readonly filter: TraceFilter; readonly seconds: number }
  | { readonly fault: string };

/** Reads `topic`, `address` and `seconds` of a request for a trace. */
export function parseTrace(query: URLSearchParams): TraceRequest {
  const topic = query.get("topic") || undefined;
  const address = query.get("address") || undefined;
  const seconds = Number(query.get("seconds") ?? DEFAULT_TRACE_SECONDS);
  if (topic === undefined && address === undefined) {
    return { fault: "name a topic, an address or both: /trace?topic=TOPIC&address=ADDRESS" };
  }
  if (!(seconds > 0 && seconds <= MAX_TRACE_SECONDS)) {
    return { fault: `seconds must be a number up to ${MAX_TRACE_SECONDS}` };
  }
  const client = address === undefined ? {} : parseClient(address);
  if (client === undefined) {
    return { fault: "address must be an IP address, or that and a port, as 10.0.0.7:51324" };
  }
  return { filter: { ...topic === undefined ? {} : { topic }, ...client }, seconds };
}

function parseClient(text: string): { address: string; port?: number } | undefined {
  if (isIP(text) !== 0) return { address: text };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? "";
  return isIP(address) === 0 ? undefined : { address, port: Number(digits) };
}

/** The traces that are watched, as server-sent events. */
export class TraceStreams {
  readonly #source: AdminSource;
  #count = 0;

  constructor(source: AdminSource) {
    this.#source = source;
  }

  /** False while as many traces are watched as may be. */
  get hasRoom(): boolean {
    return this.#count < MAX_TRACES;
  }

  /**
   * Answers with events until the time is over, or the client leaves: `frame` for each frame, `skipped` with a
   * number of frames that were too many, and `end`.
   */
  open(
    response: ServerResponse,
    { filter, seconds }: Extract<TraceRequest, { readonly filter: TraceFilter }>,
  ): void {
    this.#count++;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    // The client should know that it is watching before the first frame.
    response.write(": watching\n\n");
    const onFrames = (frames: readonly TracedFrame[], skipped: number) => {
      // A client that doesn't read makes no memory grow.
      const isBehind = response.writableLength > MAX_TRACE_BACKLOG_BYTES;
      const events = isBehind ? [] : frames.map((frame) => event("frame", frameJson(frame)));
      const missed = isBehind ? skipped + frames.length : skipped;
      if (missed > 0) events.push(event("skipped", { frames: missed }));
      if (events.length > 0) response.write(events.join(""));
    };
    const stop = this.#source.trace(filter, seconds * 1000, onFrames);
    const timer = setTimeout(() => {
      stop();
      response.end(event("end", {}));
    }, seconds * 1000);
    response.once("close", () => {
      clearTimeout(timer);
      stop();
      this.#count--;
    });
  }
}

function frameJson({ timeMs, ...frame }: TracedFrame): object {
  return { time_ms: timeMs, ...frame };
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
