/**
 * A history in pieces, as orders and answers carry it over the channel between a supervisor and a worker.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Records of a history in Base64, some at a time. */
export interface HistoryPiece {
  readonly history: readonly string[];
  /** True if more follow. */
  readonly hasMore: boolean;
}

/** Bytes of the records of one piece, about: the channel must not be busy with it for long. */
const PIECE_BYTES = 1024 * 1024;

/** The next piece of what is left. */
export function nextPiece(records: Iterator<Uint8Array>): HistoryPiece {
  const history: string[] = [];
  for (let bytes = 0; bytes < PIECE_BYTES;) {
    const { value, done } = records.next();
    if (done === true) return { history, hasMore: false };
    history.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"));
    bytes += value.byteLength;
  }
  return { history, hasMore: true };
}

/** The records of a piece. */
export function recordsOf({ history }: HistoryPiece): Uint8Array[] {
  return history.map((text) => Buffer.from(text, "base64"));
}
