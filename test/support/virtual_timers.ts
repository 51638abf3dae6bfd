/** Timers that go off as time passes in the test. */
export class VirtualTimers {
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  readonly #timers = new Map<number, { readonly dueMs: number; readonly task: () => void }>();
  #nowMs = 0;
  #next = 1;

  constructor() {
    globalThis.setTimeout = ((task: () => void, ms = 0) => {
      this.#timers.set(this.#next, { dueMs: this.#nowMs + ms, task });
      return this.#next++;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((timer: number) => {
      this.#timers.delete(timer);
    }) as unknown as typeof clearTimeout;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const [timer, { dueMs, task }] of this.#timers) {
      if (dueMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      task();
    }
  }

  restore(): void {
    Object.assign(globalThis, this.#real);
  }
}
