/** How often the loop is looked at. */
const TICK_MS = 50;

/** Times this far back are looked at: the server's patience with what a client doesn't read. */
const READ_WINDOW_MS = 10_000;

/** A process that was kept from running for more of it doesn't read as fast as a healthy client does. */
const MAX_READ_LATE_MS = 2_000;

/** A server that is short of memory gives a frame a second to be completed. */
const WRITE_WINDOW_MS = 2_000;
const MAX_WRITE_LATE_MS = 400;

/** How late this process's own loop is, so that the server isn't blamed for it. */
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

  /** Whether clients in this process may have read too slowly of late. */
  get isTooSlowToRead(): boolean {
    return this.#lateWithin(READ_WINDOW_MS) > MAX_READ_LATE_MS;
  }

  /** Whether clients in this process may have been too slow of late to complete a frame. */
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
