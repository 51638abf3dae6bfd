/**
 * A client that keeps its position, by the four rules of the protocol: `from` names the origin, a message
 * moves the position on, `resume` replaces it, and a subscribe says it.
 *
 * @module
 */

/** The answer to a subscribe with `resume`, as it stands in the frame. */
export interface Resume {
  readonly topic: string;
  readonly recovered: boolean;
  readonly reason: string;
  readonly missed: number;
  readonly at: Readonly<Record<string, number>>;
  readonly crashed?: readonly string[];
}

/** A frame of the server, taken apart. */
export type ServerFrame =
  | { readonly what: "ACK" | "PING" | "token" }
  | { readonly what: "resume"; readonly resume: Resume }
  | { readonly what: "from"; readonly topic: string; readonly origin: string }
  | {
    readonly what: "message";
    readonly topic: string;
    readonly micros: number;
    readonly origin: string;
    readonly data: unknown;
    /** The whole frame. */
    readonly text: string;
  }
  | { readonly what: "error"; readonly code: string; readonly message: string };

/** The position of one client in all of its topics. */
export class Positions {
  readonly #origins = new Map<string, string>();
  readonly #at = new Map<string, Record<string, number>>();

  /** The subscribe with which a client goes on in a topic; `{}` if it has no position. */
  subscribe(topic: string): string {
    const at = this.#at.get(topic);
    return subscribeFrame(topic, at === undefined ? {} : { at });
  }

  /** The position in a topic. */
  of(topic: string): Readonly<Record<string, number>> | undefined {
    return this.#at.get(topic);
  }

  /** To be called on a new connection, since `from` holds for one. */
  reconnect(): void {
    this.#origins.clear();
  }

  /** Takes a frame, without its terminator. @throws {Error} if a message comes before its `from`. */
  take(text: string): ServerFrame {
    if (text === "ACK" || text === "PING") return { what: text };
    const frame = JSON.parse(text);
    if (frame.token !== undefined) return { what: "token" };
    if (frame.error !== undefined) return { what: "error", ...frame.error };
    if (frame.resume !== undefined) {
      const { resume } = frame as { resume: Resume };
      this.#at.set(resume.topic, { ...resume.at });
      this.#origins.delete(resume.topic);
      return { what: "resume", resume };
    }
    if (frame.from !== undefined) {
      const { topic, origin } = frame.from;
      this.#origins.set(topic, origin);
      return { what: "from", topic, origin };
    }
    const { topic, data, timestamp: [mega, seconds, rest] } = frame;
    const micros = (mega * 1_000_000 + seconds) * 1_000_000 + rest;
    const origin = this.#origins.get(topic);
    const at = this.#at.get(topic);
    if (origin === undefined || at === undefined) throw new Error(`no from before ${text}`);
    at[origin] = micros;
    return { what: "message", topic, micros, origin, data, text };
  }
}

/** A subscribe with `resume`, terminator included. */
export function subscribeFrame(topic: string, resume: object): string {
  return `${JSON.stringify({ action: "subscribe", data: topic, resume })}\0`;
}
