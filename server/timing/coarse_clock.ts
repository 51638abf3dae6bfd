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
}
