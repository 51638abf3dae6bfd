/**
 * Cuts a stream into TLS records.
 *
 * @module
 */

/** Type, version and length, which stand before each record's body. */
const headBytes = 5;

/** The longest body that any version of TLS allows. */
const maxBodyBytes = 16 * 1024 + 2048;

const nothing = new Uint8Array(0);

/**
 * Cuts received bytes into records, and keeps an incomplete one. An engine would do so too, but in
 * buffers of its own that are larger, stay, and can't be counted.
 *
 * Bytes that can't be TLS aren't kept but handed on at once, so that the engine reports the error.
 */
export class TlsRecords {
  #buffer: Uint8Array = nothing;
  #start = 0;
  #end = 0;

  /** Bytes of memory that are held for incomplete records. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** The length of the next whole record; 0 when there is none. */
  get nextBytes(): number {
    return this.#wholeBytesAt(this.#start);
  }

  /** Keeps a copy of received bytes. */
  push(chunk: Uint8Array): void {
    const kept = this.#end - this.#start;
    const bytes = kept + chunk.length;
    if (this.#end + chunk.length > this.#buffer.length) {
      // Peers may send byte by byte; but there is never more room than the record needs.
      const room = Math.min(2 * kept, this.#bytesAt(this.#start) ?? 0);
      const grown = new Uint8Array(Math.max(bytes, room));
      grown.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = grown;
      this.#start = 0;
      this.#end = kept;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * Takes the next whole records: as many as fit into `maxBytes`, but at least one. They belong to the
   * caller. `undefined` if there is none.
   */
  take(maxBytes: number): Uint8Array | undefined {
    let bytes = 0;
    for (;;) {
      const next = this.#wholeBytesAt(this.#start + bytes);
      if (next === 0 || bytes > 0 && bytes + next > maxBytes) break;
      bytes += next;
    }
    if (bytes === 0) {
      // The rest must not keep the memory of the records that were taken.
      if (this.#start > 0) this.#replace(this.#buffer.slice(this.#start, this.#end));
      return undefined;
    }
    const records = this.#buffer.subarray(this.#start, this.#start + bytes);
    this.#start += bytes;
    if (this.#start === this.#end) this.#replace(nothing);
    return records;
  }

  /** Frees the memory. Call it when no more records will be taken. */
  clear(): void {
    this.#replace(nothing);
  }

  #replace(buffer: Uint8Array): void {
    this.#buffer = buffer;
    this.#start = 0;
    this.#end = buffer.length;
  }

  /** The length of the record at `at` if all of it is there; else 0. */
  #wholeBytesAt(at: number): number {
    const bytes = this.#bytesAt(at);
    return bytes === undefined || at + bytes > this.#end ? 0 : bytes;
  }

  /** The length of the record at `at`; `undefined` before its head is there. */
  #bytesAt(at: number): number | undefined {
    const kept = this.#end - at;
    if (kept === 0) return undefined;
    const type = this.#buffer[at]!;
    if (type < 20 || type > 24 || kept > 1 && this.#buffer[at + 1] !== 3) return kept;
    if (kept < headBytes) return undefined;
    const bodyBytes = this.#buffer[at + 3]! * 256 + this.#buffer[at + 4]!;
    return bodyBytes > maxBodyBytes ? kept : headBytes + bodyBytes;
  }
}
