/**
 * A monotonic clock that each sweep sets. It is cheap enough to look at for every chunk, and exact enough
 * for deadlines of a second and more.
 */
export class CoarseClock {
  /** Milliseconds since some fixed moment, as of the last sweep. */
  nowMs: number;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /**
   * A time on this clock, moved on by a wait that lasted from `sinceMs` until now, or by the part of the wait
   * behind that time: so the wait doesn't count, and what was before it does.
   */
  withoutWait(ms: number, sinceMs: number): number {
    return ms + this.nowMs - Math.max(ms, sinceMs);
  }
}
