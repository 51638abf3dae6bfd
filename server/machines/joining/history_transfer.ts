import type { Runtime } from "../../../runtime/types.ts";
import type { CoarseClock } from "../../timing/coarse_clock.ts";
import type { Want } from "../wire/frames.ts";
import {
  ASK_AGAIN_MS,
  HISTORY_PATIENCE_MS,
  HISTORY_PIECE_BYTES,
  HISTORY_PIECES,
} from "../wire/limits.ts";

/** Copies of the history that may be under way at once. */
const MAX_EXPORTS = 8;

/** Bytes of a copied history that a machine takes: more than any sensible `--history-total-bytes`. */
const MAX_IMPORT_BYTES = 4 * 1024 * 1024 * 1024;

interface Export {
  readonly records: Iterator<Uint8Array>;
  /** The newest pieces, of which some may be asked for again. */
  readonly parts: HistoryPart[];
  rest: Uint8Array;
  wantedMs: number;
}

/** A piece of a history. */
export interface HistoryPart {
  readonly piece: number;
  readonly isLast: boolean;
  readonly bytes: Uint8Array;
}

/** Gives other machines the history, a piece at a time as they ask for it. */
export class HistoryExports {
  readonly #clock: CoarseClock;
  readonly #records: () => Iterator<Uint8Array>;
  readonly #exports = new Map<string, Export>();

  /** @param records Makes an image of the history. */
  constructor(clock: CoarseClock, records: () => Iterator<Uint8Array>) {
    this.#clock = clock;
    this.#records = records;
  }

  /** The wanted piece; `undefined` if it can't be had, or not now. */
  give({ copy, piece }: Want): HistoryPart | undefined {
    let one = this.#exports.get(copy);
    if (one === undefined) {
      if (piece !== 0 || this.#exports.size >= MAX_EXPORTS) return undefined;
      one = { records: this.#records(), parts: [], rest: new Uint8Array(0), wantedMs: 0 };
      this.#exports.set(copy, one);
    }
    one.wantedMs = this.#clock.nowMs;
    const newest = one.parts.at(-1);
    if (piece === (newest?.piece ?? -1) + 1 && newest?.isLast !== true) this.#advance(one);
    return one.parts.find((part) => part.piece === piece);
  }

  /** Forgets copies that were given up. To be called about once a sweep. */
  sweep(): void {
    for (const [copy, { wantedMs }] of this.#exports) {
      if (this.#clock.nowMs - wantedMs >= HISTORY_PATIENCE_MS) this.#exports.delete(copy);
    }
  }

  #advance(one: Export): void {
    const parts = [one.rest];
    let bytes = one.rest.length;
    let isOver = false;
    while (bytes < HISTORY_PIECE_BYTES && !isOver) {
      const { value, done } = one.records.next();
      if (done === true) isOver = true;
      else {
        const length = new Uint8Array(4);
        new DataView(length.buffer).setUint32(0, value.length, true);
        parts.push(length, value);
        bytes += length.length + value.length;
      }
    }
    const all = join(parts, bytes);
    one.rest = all.slice(HISTORY_PIECE_BYTES);
    one.parts.push({
      piece: (one.parts.at(-1)?.piece ?? -1) + 1,
      isLast: isOver && one.rest.length === 0,
      bytes: all.slice(0, HISTORY_PIECE_BYTES),
    });
    if (one.parts.length > HISTORY_PIECES) one.parts.shift();
  }
}

/** Gets the history of another machine, of which some pieces are on their way at a time. */
export class HistoryFetch {
  readonly #runtime: Pick<Runtime, "nextTurn">;
  readonly #want: (want: Want) => void;
  readonly #copy: string;
  readonly #parts: Uint8Array[] = [];
  readonly #answer = Promise.withResolvers<void>();
  #bytes = 0;
  /** The first piece that it hasn't asked for yet. */
  #unasked = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #heardMs = performance.now();

  /** @param want Asks the other machine for a piece. It is asked again if no answer comes. */
  constructor(runtime: Pick<Runtime, "nextTurn">, copy: string, want: (want: Want) => void) {
    this.#runtime = runtime;
    this.#copy = copy;
    this.#want = want;
  }

  /**
   * The records of the history.
   *
   * @throws {Error} (rejects) if the other machine doesn't give them in time.
   */
  async records(): Promise<Uint8Array[]> {
    this.#ask();
    this.#timer = setInterval(() => {
      const silentMs = performance.now() - this.#heardMs;
      if (silentMs < ASK_AGAIN_MS) return;
      if (silentMs >= HISTORY_PATIENCE_MS) {
        return this.#answer.reject(new Error("it doesn't answer"));
      }
      // What is on its way may be lost.
      this.#unasked = this.#parts.length;
      this.#ask();
    }, ASK_AGAIN_MS);
    try {
      await this.#answer.promise;
    } finally {
      clearInterval(this.#timer);
    }
    return this.#split();
  }

  /** Takes a piece, which is copied. */
  take({ piece, isLast, bytes }: HistoryPart): void {
    if (piece !== this.#parts.length) return;
    this.#heardMs = performance.now();
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_IMPORT_BYTES) this.#answer.reject(new Error("it sends too much"));
    this.#parts.push(bytes.slice());
    if (isLast) this.#answer.resolve();
    else this.#runtime.nextTurn(() => this.#ask());
  }

  #ask(): void {
    const end = this.#parts.length + HISTORY_PIECES;
    this.#unasked = Math.max(this.#unasked, this.#parts.length);
    while (this.#unasked < end) this.#want({ copy: this.#copy, piece: this.#unasked++ });
  }

  #split(): Uint8Array[] {
    const all = join(this.#parts, this.#bytes);
    const view = new DataView(all.buffer);
    const records: Uint8Array[] = [];
    for (let start = 0; start < all.length;) {
      const end = start + 4 + (all.length - start < 4 ? 0 : view.getUint32(start, true));
      if (end > all.length) throw new Error("what it sends is cut off");
      records.push(all.slice(start + 4, end));
      start = end;
    }
    return records;
  }
}

function join(parts: readonly Uint8Array[], byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
