/**
 * A history in a file, from a graceful stop to the next start: a line of JSON, for each record its length in four
 * bytes, little-endian, and the record, and in the end the SHA-256 of all that.
 *
 * @module
 */

import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tryToWrite } from "../../cli/report_file.ts";

const FORMAT = "hotwheels-history";

/** The format's version. Raise it when older servers can't read the file. */
const VERSION = 1;

const DIGEST_BYTES = 32;

/** The name under which a file is written before it takes its place. */
function temporaryName(path: string): string {
  return `${path}.new`;
}

/** The content of a file. */
export interface SavedHistory {
  readonly records: readonly Uint8Array[];
  /** Milliseconds since it was written, by the system's clock. */
  readonly ageMs: number;
}

interface Header {
  readonly format: string;
  readonly version: number;
  readonly savedMs: number;
}

/**
 * Reads a file, and removes it: were it read again after a crash, the server would take what is lost since for
 * what never was.
 *
 * @returns `undefined` if there is none.
 * @throws {Error} if it can't be read or removed, isn't a regular file, is damaged, or is of a newer version; it
 * says so.
 */
export function takeHistoryFile(path: string): SavedHistory | undefined {
  if (!existsSync(path)) return undefined;
  mustBeRegular(path);
  const saved = parse(readFileSync(path));
  rmSync(path);
  return saved;
}

function parse(bytes: Uint8Array): SavedHistory {
  const lineEnd = bytes.indexOf(0x0a);
  const header = headerOf(bytes.subarray(0, Math.max(0, lineEnd)));
  if (header === undefined) throw new Error("it isn't a file of stored messages");
  if (header.version > VERSION) throw new Error("it is from a newer version of the server");
  const end = bytes.length - DIGEST_BYTES;
  const digest = createHash("sha256").update(bytes.subarray(0, Math.max(0, end))).digest();
  if (!digest.equals(bytes.subarray(Math.max(0, end)))) throw new Error("it is damaged");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  for (let offset = lineEnd + 1; offset < end;) {
    const length = view.getUint32(offset, true);
    records.push(bytes.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  return { records, ageMs: Math.max(0, Date.now() - header.savedMs) };
}

function headerOf(line: Uint8Array): Header | undefined {
  try {
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line)) as Header;
    return header.format === FORMAT ? header : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes a file, whole or not at all. Only its owner may read it.
 *
 * @throws {Error} if it can't be written; what there was before stays.
 */
export function writeHistoryFile(path: string, records: Iterable<Uint8Array>): void {
  mustBeRegular(path);
  const temporary = temporaryName(path);
  rmSync(temporary, { force: true });
  try {
    writeNew(temporary, records);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function writeNew(path: string, records: Iterable<Uint8Array>): void {
  const file = openSync(path, "wx", 0o600);
  try {
    const hash = createHash("sha256");
    const write = (bytes: Uint8Array) => {
      hash.update(bytes);
      writeAll(file, bytes);
    };
    const header: Header = { format: FORMAT, version: VERSION, savedMs: Date.now() };
    write(new TextEncoder().encode(`${JSON.stringify(header)}\n`));
    for (const record of records) {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, record.length, true);
      write(length);
      write(record);
    }
    writeAll(file, hash.digest());
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Tries whether {@linkcode writeHistoryFile} can write a file. An existing one stays as it is.
 *
 * @throws {Error} if it can't be written.
 */
export function tryHistoryFile(path: string): void {
  mustBeRegular(path);
  tryToWrite(temporaryName(path));
}

/**
 * Reading a pipe or a device may never end, and a rename would put a file in its place.
 *
 * @throws {Error} if there is something that isn't a regular file.
 */
function mustBeRegular(path: string): void {
  if (existsSync(path) && !statSync(path).isFile()) throw new Error("it isn't a regular file");
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) {
    offset += writeSync(file, bytes, offset, bytes.length - offset);
  }
}
