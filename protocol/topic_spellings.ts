/**
 * Remembers how topics are spelled, so that each is decoded once and not for each message.
 *
 * @module
 */

/** The longest spelling that is remembered, in bytes: most topics are shorter. */
const MAX_SPELLING_BYTES = 47;

/** A place for a spelling, and its length in front of that. */
const PLACE_BYTES = 1 + MAX_SPELLING_BYTES;

/** Places at first, and at most: with these, 3 MiB of spellings and as much of topics. */
const MIN_PLACES = 1 << 4;
const MAX_PLACES = 1 << 16;

/** The number of places grows by this factor when as many topics as there are places had to give way. */
const GROWTH = 4;

/**
 * Topics by the bytes that spelled them. Each spelling has one place, by its hash, and the topic that was read
 * last has it. One object may serve all decoders of a process.
 */
export class TopicSpellings {
  #spellings = new Uint8Array(0);
  #topics: (string | undefined)[] = [];
  #mask = 0;
  /** The topics that gave way since the places were made. */
  #displaced = 0;

  /** The topic that `bytes` from `start` to `end` spell, if it is remembered. */
  find(bytes: Uint8Array, start: number, end: number): string | undefined {
    const length = end - start;
    if (length > MAX_SPELLING_BYTES) return undefined;
    const index = hashOf(bytes, start, end) & this.#mask;
    const topic = this.#topics[index];
    if (topic === undefined) return undefined;
    const spellings = this.#spellings;
    const place = index * PLACE_BYTES;
    if (spellings[place] !== length) return undefined;
    const offset = place + 1 - start;
    for (let i = start; i < end; i++) if (bytes[i] !== spellings[offset + i]) return undefined;
    return topic;
  }

  /** Remembers a topic, which isn't remembered, unless its spelling is long. */
  remember(bytes: Uint8Array, start: number, end: number, topic: string): void {
    const length = end - start;
    if (length > MAX_SPELLING_BYTES) return;
    if (this.#displaced >= this.#topics.length) this.#grow();
    const index = hashOf(bytes, start, end) & this.#mask;
    if (this.#topics[index] !== undefined) this.#displaced++;
    const place = index * PLACE_BYTES;
    this.#spellings[place] = length;
    for (let i = 0; i < length; i++) this.#spellings[place + 1 + i] = bytes[start + i]!;
    this.#topics[index] = topic;
  }

  /** Makes more places, which are empty. */
  #grow(): void {
    const before = this.#topics.length;
    this.#displaced = before < MAX_PLACES ? 0 : -Infinity;
    if (before >= MAX_PLACES) return;
    const places = before === 0 ? MIN_PLACES : before * GROWTH;
    this.#spellings = new Uint8Array(places * PLACE_BYTES);
    this.#topics = new Array(places).fill(undefined);
    this.#mask = places - 1;
  }
}

/** FNV-1a, whose high bits are mixed into the low ones. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
