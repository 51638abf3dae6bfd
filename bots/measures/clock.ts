/**
 * Milliseconds since the Unix epoch, to a fraction of a microsecond. Unlike other fine clocks it can be
 * compared between processes of one machine. It doesn't follow steps of the system's clock while the
 * process runs.
 */
export function clockMs(): number {
  return performance.timeOrigin + performance.now();
}
