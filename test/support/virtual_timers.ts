/** A timer of {@linkcode VirtualTimers}, as `setTimeout` and `setInterval` return one. */
class Timer {
  dueMs: number;
  /** Milliseconds until it is due again; `undefined` if it goes off once. */
  readonly everyMs: number | undefined;
  readonly task: () => void;

  constructor(dueMs: number, everyMs: number | undefined, task: () => void) {
    this.dueMs = dueMs;
    this.everyMs = everyMs;
    this.task = task;
  }

  /** It keeps no process alive in any case. */
  unref(): this {
    return this;
  }
}

/** Timers that go off as time passes in the test. */
export class VirtualTimers {
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
  };
  readonly #timers = new Set<Timer>();
  #nowMs = 0;

  constructor() {
    const set = (ms: number, everyMs: number | undefined, task: () => void) => {
      const timer = new Timer(this.#nowMs + ms, everyMs, task);
      this.#timers.add(timer);
      return timer;
    };
    const clear = (timer: Timer) => void this.#timers.delete(timer);
    Object.assign(globalThis, {
      setTimeout: (task: () => void, ms = 0) => set(ms, undefined, task),
      clearTimeout: clear,
      setInterval: (task: () => void, ms: number) => set(ms, ms, task),
      clearInterval: clear,
    });
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const timer of this.#timers) {
      if (timer.dueMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      if (timer.everyMs !== undefined) {
        // Behind the others, and again at once if that is due too.
        timer.dueMs += timer.everyMs;
        this.#timers.add(timer);
      }
      timer.task();
    }
  }

  /** Lets time pass a second at a time, and lets what awaits a timer go on in between. */
  async passSeconds(seconds: number): Promise<void> {
    for (; seconds > 0; seconds--) {
      this.pass(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  restore(): void {
    Object.assign(globalThis, this.#real);
  }
}
