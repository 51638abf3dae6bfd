/** Milliseconds between two checks of the event loop. */
const TICK_MS = 50;

/** Milliseconds to look back: as long as the server waits for a client that doesn't read. */
const READ_WINDOW_MS = 10_000;

/**
 * Milliseconds of delay within that time after which a process doesn't read as fast as a healthy client.
 */
const MAX_READ_LATE_MS = 2_000;

/** The same for writing: a server that is short of memory waits a second for a frame's end. */
const WRITE_WINDOW_MS = 2_000;
const MAX_WRITE_LATE_MS = 400;

/** Measures the delay of this process's own event loop, so that the server isn't judged for it. */
export class OwnPace {
  readonly #late: { readonly atMs: number; readonly lateMs: number }[] = [];
  #dueMs = performance.now() + TICK_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  start(): void {
    this.#dueMs = performance.now() + TICK_MS;
    this.#timer = setTimeout(() => {
      const nowMs = performance.now();
      this.#late.push({ atMs: nowMs, lateMs: Math.max(0, nowMs - this.#dueMs) });
      while (this.#late[0]!.atMs < nowMs - READ_WINDOW_MS) this.#late.shift();
      this.start();
    }, TICK_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** True if clients in this process may have read too slowly lately. */
  get isTooSlowToRead(): boolean {
    return this.#lateWithin(READ_WINDOW_MS) > MAX_READ_LATE_MS;
  }

  /** True if clients in this process may lately have been too slow to complete a frame. */
  get isTooSlowToWrite(): boolean {
    return this.#lateWithin(WRITE_WINDOW_MS) > MAX_WRITE_LATE_MS;
  }

  #lateWithin(windowMs: number): number {
    const nowMs = performance.now();
    return this.#late.reduce(
      (sum, { atMs, lateMs }) => atMs < nowMs - windowMs ? sum : sum + lateMs,
      Math.max(0, nowMs - this.#dueMs),
    );
  }
}
