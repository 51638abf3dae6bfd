/** A subscriber's position in one topic, by the protocol's rules for clients that come back. */
export class Position {
  /** Of each origin the timestamp of its last message, in microseconds since the Unix epoch. */
  readonly at: Map<string, number>;
  #origin: string | undefined;
  /** Messages that the server announced and that haven't come. */
  #due: number;

  /**
   * @param at As the server's `resume` frame says it.
   * @param missed The number of messages that the frame announces.
   */
  constructor(at: Readonly<Record<string, number>>, missed: number) {
    this.at = new Map(Object.entries(at));
    this.#due = missed;
  }

  /** Messages that were announced and haven't come. */
  get due(): number {
    return this.#due;
  }

  /** The messages that follow are of this origin. */
  from(origin: string): void {
    this.#origin = origin;
  }

  /**
   * Notes a message.
   *
   * @returns Its origin; `undefined` if the server hasn't said it.
   */
  advance(micros: number): string | undefined {
    if (this.#due > 0) this.#due--;
    if (this.#origin !== undefined) this.at.set(this.#origin, micros);
    return this.#origin;
  }
}

/** The server's answer to a subscriber that wants to come back. */
export interface ResumeAnswer {
  readonly topic: string;
  readonly recovered: boolean;
  readonly reason: string;
  readonly missed: number;
  readonly at: Readonly<Record<string, number>>;
  readonly crashed?: readonly string[];
}

/** Parses a `resume` or `from` frame; `undefined` for any other. */
export function parsePositionFrame(
  frame: string,
):
  | { readonly resume: ResumeAnswer }
  | { readonly from: { readonly topic: string; readonly origin: string } }
  | undefined {
  return /^\{"timestamp":\[\d+,\d+,\d+\],"(?:resume|from)":\{/.test(frame)
    ? JSON.parse(frame)
    : undefined;
}
