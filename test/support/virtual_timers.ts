/** A timer of {@linkcode VirtualTimers}. */
interface Timer {
  dueMs: number;
  /** Milliseconds until it is due again; `undefined` if it goes off once. */
  readonly everyMs: number | undefined;
  readonly task: () => void;
}

/** Timers that go off as time passes in the test. */
export class VirtualTimers {
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
  };
  readonly #timers = new Map<number, Timer>();
  #nowMs = 0;
  #next = 1;

  constructor() {
    const set = (task: () => void, ms: number, everyMs?: number) => {
      this.#timers.set(this.#next, { dueMs: this.#nowMs + ms, everyMs, task });
      return this.#next++;
    };
    const clear = (timer: number) => void this.#timers.delete(timer);
    Object.assign(globalThis, {
      setTimeout: (task: () => void, ms = 0) => set(task, ms),
      clearTimeout: clear,
      setInterval: (task: () => void, ms = 1) => set(task, ms, ms),
      clearInterval: clear,
    });
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const [id, timer] of this.#timers) {
      if (timer.dueMs > this.#nowMs || !this.#timers.delete(id)) continue;
      const { everyMs } = timer;
      if (everyMs !== undefined) {
        // Behind the others, and again at once where that is due too.
        this.#timers.set(id, { ...timer, dueMs: timer.dueMs + everyMs });
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
