/**
 * A monotonic clock that is read once a sweep: cheap enough to look at for every chunk, exact enough
 * for deadlines of a second and more.
 */
export class CoarseClock {
  /** Milliseconds since some fixed moment, as of the last sweep. */
  nowMs: number;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }
}
