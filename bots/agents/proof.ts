/**
 * Both sides of a link prove that they know a key, without sending it: each answers the other's random
 * number, and its own, under the key. A proof is good for one link and one side, so it can't be replayed or
 * sent back.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** The side that proves. */
export type Side = "leader" | "agent";

/** The random numbers of both sides, as hexadecimal digits. */
export interface Nonces {
  readonly agent: string;
  readonly leader: string;
}

const NONCE_BYTES = 32;

const HEX = /^[0-9a-f]{64}$/;

/** A random number, which no other side can know beforehand. */
export function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString("hex");
}

/** True if a peer's words are such a number. */
export function isNonce(claimed: unknown): claimed is string {
  return typeof claimed === "string" && HEX.test(claimed);
}

/** The proof of one side, by HMAC-SHA-256, as hexadecimal digits. */
export function proofOf(key: string, side: Side, { agent, leader }: Nonces): string {
  return createHmac("sha256", key).update(`hotwheels-agents/1 ${side} ${agent} ${leader}`)
    .digest("hex");
}

/** True if `claimed` is the proof. Takes as long whatever is claimed. */
export function isProof(claimed: unknown, proof: string): boolean {
  return isNonce(claimed) && timingSafeEqual(Buffer.from(claimed), Buffer.from(proof));
}
