import type { Handshake } from "./sides.ts";
import { acceptRequest, MAX_REQUEST_BYTES, requestEnd } from "./handshake.ts";
import type { OriginRules } from "./origins.ts";

/** Room for most requests, so that one that comes byte by byte isn't copied each time. */
const FIRST_BYTES = 512;

const nothing = new Uint8Array(0);

/** The listener's side of a handshake: collects a request, and answers it. */
export class RequestHandshake implements Handshake {
  readonly #origins: OriginRules;
  /** The bytes so far of a request that isn't complete. */
  #buffer = nothing;
  #length = 0;

  constructor(origins: OriginRules) {
    this.#origins = origins;
  }

  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** @throws {HandshakeRefusal} if the request is refused. */
  push(chunk: Uint8Array): { taken: number; answer: Uint8Array } | undefined {
    const before = this.#length;
    const bytes = before === 0 ? chunk : this.#keep(chunk);
    const length = before + chunk.length;
    const end = requestEnd(bytes, Math.min(length, bytes.length), before);
    if (end === -1) {
      if (before === 0) this.#keep(chunk);
      return undefined;
    }
    const answer = acceptRequest(bytes.subarray(0, end), this.#origins);
    this.#buffer = nothing;
    return { taken: end - before, answer };
  }

  /** Appends received bytes, up to the longest request, and returns the buffer. */
  #keep(chunk: Uint8Array): Uint8Array {
    const length = this.#length + Math.min(chunk.length, MAX_REQUEST_BYTES - this.#length);
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(
        Math.min(MAX_REQUEST_BYTES, Math.max(length, 2 * this.#length, FIRST_BYTES)),
      );
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(chunk.subarray(0, length - this.#length), this.#length);
    this.#length = length;
    return this.#buffer;
  }
}
