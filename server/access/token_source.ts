/** The tokens for which random bytes are drawn at once: each draw is a system call. */
const TOKENS_PER_DRAW = 64;

/** Bytes of a token; 128 bits can't be guessed. */
const TOKEN_BYTES = 16;

/** Issues tokens of 32 lower-case hex digits, from a cryptographic source of random bytes. */
export class TokenSource {
  readonly #bytes = new Uint8Array(TOKENS_PER_DRAW * TOKEN_BYTES);
  #used = this.#bytes.length;

  next(): string {
    if (this.#used === this.#bytes.length) {
      crypto.getRandomValues(this.#bytes);
      this.#used = 0;
    }
    let token = "";
    for (const end = this.#used + TOKEN_BYTES; this.#used < end; this.#used++) {
      token += (this.#bytes[this.#used] as number).toString(16).padStart(2, "0");
    }
    return token;
  }
}
