/**
 * Random numbers that can be repeated: the same seed gives the same order of runs and the same intervals.
 *
 * @module
 */

/** The greatest seed. It fits into a number without loss, and is short enough to type. */
export const MAX_SEED = 2 ** 32 - 1;

const MASK = 0xffff_ffff_ffff_ffffn;

/**
 * The generator xoshiro128++ 1.0 of Blackman and Vigna (https://prng.di.unimi.it/), its state filled by
 * SplitMix64 as its authors advise. Not for secrets.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed A whole number from 0 to {@linkcode MAX_SEED}. */
  constructor(seed: number) {
    const [first, second] = splitMix64(BigInt(seed), 2) as [bigint, bigint];
    [this.#a, this.#b] = halves(first);
    [this.#c, this.#d] = halves(second);
  }

  /** A generator in a given state: four whole numbers of 32 bits, not all of them zero. */
  static fromState([a, b, c, d]: readonly [number, number, number, number]): Random {
    const random = new Random(0);
    random.#a = a;
    random.#b = b;
    random.#c = c;
    random.#d = d;
    return random;
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    const result = (rotateLeft((this.#a + this.#d) | 0, 7) + this.#a) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** A whole number from 0 to `bound` - 1; each is as likely as any other to within `bound` / 2^32. */
  below(bound: number): number {
    return Math.floor(this.next() / 2 ** 32 * bound);
  }

  /** The same values in another order, each order as likely as any other. */
  shuffled<T>(values: readonly T[]): T[] {
    const result = [...values];
    for (let at = result.length - 1; at > 0; at--) {
      const other = this.below(at + 1);
      [result[at], result[other]] = [result[other]!, result[at]!];
    }
    return result;
  }
}

/** The first `count` numbers of SplitMix64. */
export function splitMix64(seed: bigint, count: number): bigint[] {
  return Array.from({ length: count }, () => {
    seed = (seed + 0x9e37_79b9_7f4a_7c15n) & MASK;
    let z = seed;
    z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK;
    z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK;
    return z ^ (z >> 31n);
  });
}

function halves(number: bigint): [low: number, high: number] {
  return [Number(number & 0xffff_ffffn), Number(number >> 32n)];
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
