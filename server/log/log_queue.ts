import { settledWithin } from "../timing/settled_within.ts";

/** Lines on their way to a log whose reader may be slow, or gone. It bounds what waits. */
export class LogQueue {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  readonly #maxBytes: number;
  readonly #lostLine: (count: number) => string;
  #lines: string[] = [];
  #length = 0;
  #lost = 0;
  #writing: Promise<void> | undefined;

  /**
   * @param write Writes one line or more; called again only when that is done.
   * @param maxBytes The bytes that may wait. Further lines are dropped, and counted.
   * @param lostLine Makes the line that says how many were dropped.
   */
  constructor(
    write: (bytes: Uint8Array) => Promise<void>,
    maxBytes: number,
    lostLine: (count: number) => string,
  ) {
    this.#write = write;
    this.#maxBytes = maxBytes;
    this.#lostLine = lostLine;
  }

  /** Adds a line, which must end in a line break. Never waits, never throws. */
  add(line: string): void {
    if (this.#length + line.length > this.#maxBytes) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#length += line.length;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all is written, or after so many milliseconds. */
  async flushed(limitMs: number): Promise<void> {
    if (this.#writing !== undefined) await settledWithin(limitMs, [this.#writing]);
  }

  async #writeAll(): Promise<void> {
    const encoder = new TextEncoder();
    while (this.#lines.length > 0) {
      const text = this.#lines.join("");
      this.#lines = [];
      try {
        await this.#write(encoder.encode(text));
      } catch {
        // The reader of the log has gone; the server must not end because of that.
      }
      // Lines that are being written count as waiting, too.
      this.#length -= text.length;
      if (this.#lost > 0) {
        const line = this.#lostLine(this.#lost);
        this.#lost = 0;
        this.#lines.push(line);
        this.#length += line.length;
      }
    }
    this.#writing = undefined;
  }
}
