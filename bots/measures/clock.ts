/**
 * Milliseconds since the Unix epoch, to a fraction of a microsecond. Unlike other fine clocks it can be
 * compared across processes of one machine. It doesn't follow steps of the system's clock that are made
 * while the process runs.
 */
export function clockMs(): number {
  return performance.timeOrigin + performance.now();
}
