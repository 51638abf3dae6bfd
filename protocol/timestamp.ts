/**
 * Erlang's `now()` as Janus puts it on the wire: `[megaseconds,seconds,microseconds]` since the Unix
 * epoch. Inside Hotwheels a timestamp is one integer of microseconds, which a double holds exactly
 * until the year 2255.
 *
 * @module
 */

const MICROS_PER_SECOND = 1_000_000;
const SECONDS_PER_MEGASECOND = 1_000_000;

/** Bytes of the longest timestamp, `[9007,199254,740991]`, which is the largest safe integer. */
export const MAX_TIMESTAMP_BYTES = 20;

/** Issues timestamps, each greater than the one before, as Erlang's `now()` did. */
export class TimestampIssuer {
  readonly #epochMicros: () => number;
  #last = 0;
  #isClockRead = false;

  /**
   * @param epochMicros Returns microseconds since the Unix epoch, fractions allowed. The default agrees
   * with the system's clock when the process starts, and ignores later changes of that.
   */
  constructor(epochMicros: () => number = highResolutionEpochMicros) {
    this.#epochMicros = epochMicros;
  }

  /**
   * Issues a timestamp in whole microseconds since the Unix epoch: the time now, or one more than the
   * last timestamp if the clock isn't past that (it stood still, or stepped back).
   */
  next(): number {
    const now = Math.floor(this.#epochMicros());
    this.#last = now > this.#last ? now : this.#last + 1;
    return this.#last;
  }

  /** Begins a group of messages that have arrived together; see {@linkcode nextOfGroup}. */
  beginGroup(): void {
    this.#isClockRead = false;
  }

  /**
   * As {@linkcode next}, but reads the clock only for a group's first message, which takes longer than all
   * else about a timestamp: each further one is a microsecond later. A group should take no longer than that.
   */
  nextOfGroup(): number {
    if (this.#isClockRead) return ++this.#last;
    this.#isClockRead = true;
    return this.next();
  }

  /** The last timestamp, or the one that the next must exceed. */
  get last(): number {
    return this.#last;
  }

  /** From now on issues only timestamps that are greater than this one. */
  raise(micros: number): void {
    if (micros > this.#last) this.#last = micros;
  }
}

function highResolutionEpochMicros(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/**
 * Writes `[mega,sec,micro]` in decimal without padding, as Erlang prints it. Allocates nothing.
 *
 * @param micros Whole microseconds since the epoch.
 * @param target Needs {@linkcode MAX_TIMESTAMP_BYTES} from `offset` on.
 * @returns the offset behind the closing bracket.
 * @throws {RangeError} if `micros` isn't a safe integer of at least 0, or `target` is too small.
 */
export function writeTimestamp(micros: number, target: Uint8Array, offset: number): number {
  if (!Number.isSafeInteger(micros) || micros < 0) {
    throw new RangeError(`Not a whole number of microseconds since the epoch: ${micros}`);
  }
  if (offset + MAX_TIMESTAMP_BYTES > target.length) {
    throw new RangeError(`No room for a timestamp at ${offset} of ${target.length} bytes`);
  }
  // Below 2^53 a quotient by a million that isn't whole never rounds up to a whole number.
  const seconds = Math.floor(micros / MICROS_PER_SECOND);
  if (seconds !== beginning.seconds) beginning.become(seconds);
  const { bytes, length } = beginning;
  for (let i = 0; i < length; i++) target[offset + i] = bytes[i]!;
  const end = writeDecimal(micros - seconds * MICROS_PER_SECOND, target, offset + length);
  target[end] = 0x5d;
  return end + 1;
}

/** The `[mega,sec,` of the last second that was written: nearly all timestamps have that of the one before. */
class Beginning {
  readonly bytes = new Uint8Array(MAX_TIMESTAMP_BYTES);
  seconds = -1;
  length = 0;

  become(seconds: number): void {
    const { bytes } = this;
    const mega = Math.floor(seconds / SECONDS_PER_MEGASECOND);
    bytes[0] = 0x5b;
    let end = writeDecimal(mega, bytes, 1);
    bytes[end] = 0x2c;
    end = writeDecimal(seconds - mega * SECONDS_PER_MEGASECOND, bytes, end + 1);
    bytes[end] = 0x2c;
    this.seconds = seconds;
    this.length = end + 1;
  }
}

const beginning = new Beginning();

/** Writes a number of 0 to 999,999 and returns the offset behind its last digit. */
function writeDecimal(value: number, target: Uint8Array, offset: number): number {
  let rest = value | 0;
  const digits = rest < 1000
    ? (rest < 10 ? 1 : rest < 100 ? 2 : 3)
    : (rest < 10_000 ? 4 : rest < 100_000 ? 5 : 6);
  for (let i = offset + digits - 1; i >= offset; i--) {
    const quotient = (rest / 10) | 0;
    target[i] = 0x30 + rest - quotient * 10;
    rest = quotient;
  }
  return offset + digits;
}

/**
 * Reads a timestamp that {@linkcode writeTimestamp} wrote. Allocates nothing, and checks nothing.
 *
 * @param offset The offset of its opening bracket.
 * @returns microseconds since the epoch.
 */
export function readTimestamp(bytes: Uint8Array, offset: number): number {
  let total = 0;
  let part = 0;
  for (let pos = offset + 1;; pos++) {
    const byte = bytes[pos]!;
    if (byte >= 0x30 && byte <= 0x39) {
      part = part * 10 + byte - 0x30;
      continue;
    }
    total = total * 1_000_000 + part;
    if (byte !== 0x2c) return total;
    part = 0;
  }
}

/**
 * Reads a timestamp from decoded JSON.
 *
 * @returns microseconds since the epoch, or `undefined` if `value` isn't an array of three whole
 * numbers in the ranges that Erlang's `now()` keeps to.
 */
export function parseTimestamp(value: unknown): number | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [mega, seconds, micros] = value;
  if (!Number.isSafeInteger(mega) || mega < 0) return undefined;
  if (!isBelowMillion(seconds) || !isBelowMillion(micros)) return undefined;
  const total = (mega * SECONDS_PER_MEGASECOND + seconds) * MICROS_PER_SECOND + micros;
  return Number.isSafeInteger(total) ? total : undefined;
}

function isBelowMillion(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 1_000_000;
}
