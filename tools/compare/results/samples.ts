/**
 * A round's latencies as reports keep them: all of them, in a tenth of the room.
 *
 * @module
 */

/**
 * Latencies in ascending order, in whole microseconds: the first as it is, each further one as what
 * comes on top of the one before. The running sum gives them back.
 */
export type PackedLatencies = number[];

/** @param latenciesMs In any order; left as they are. */
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
