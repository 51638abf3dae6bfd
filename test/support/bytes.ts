/**
 * Bytes to send, and checks that they arrived.
 *
 * @module
 */

import { fail } from "@std/assert";

/** `length` bytes that no other seed, and no other place, has in the same order (xorshift32). */
export function pattern(seed: number, length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = (Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b) || 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** One array of all `chunks`. */
export function join(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Fails at the first byte that differs; quick on many megabytes. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  const shared = Math.min(actual.length, expected.length);
  for (let i = 0; i < shared; i++) {
    if (actual[i] !== expected[i]) {
      fail(`byte ${i} of ${expected.length} is ${actual[i]}, not ${expected[i]}`);
    }
  }
  if (actual.length !== expected.length) {
    fail(`${actual.length} bytes instead of ${expected.length}`);
  }
}
