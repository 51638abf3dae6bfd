/**
 * Datagrams to Unix sockets, which no common interface of the runtimes has.
 *
 * @module
 */

import process from "node:process";

/** The C library's names, with glibc and with musl. */
const LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`];

const AF_UNIX = 1;
/** `SOCK_DGRAM`, closed in processes that are started. */
const SOCK_DGRAM_CLOEXEC = 2 | 0o2_000_000;
/** `MSG_NOSIGNAL | MSG_DONTWAIT`: a receiver that is gone or busy ends and delays nothing. */
const FLAGS = 0x4000 | 0x40;

/** The functions of the C library that are called. */
interface Library {
  socket(family: number, type: number, protocol: number): number;
  sendto(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ): bigint;
  close(fd: number): number;
}

/** The part of Bun's module for foreign functions that is used. */
interface ForeignFunctions {
  dlopen(
    library: string,
    functions: Readonly<Record<keyof Library, { args: string[]; returns: string }>>,
  ): { readonly symbols: Library };
}

/**
 * Sends a text to a Unix socket, without waiting.
 *
 * @param path The socket's file; a name that begins with `@` is no file.
 * @returns False if it wasn't sent: always on Deno, whose sockets would need a file of their own, and the
 * permission to reach others.
 */
export function sendUnixDatagram(path: string, text: string): boolean {
  const library = cLibrary();
  if (library === undefined) return false;
  const name = new TextEncoder().encode(path);
  if (path.startsWith("@")) name[0] = 0;
  const address = new Uint8Array(2 + name.length);
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX;
  address.set(name, 2);
  const bytes = new TextEncoder().encode(text);
  const fd = library.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return false;
  const sent = library.sendto(fd, bytes, bytes.length, FLAGS, address, address.length);
  library.close(fd);
  return Number(sent) === bytes.length;
}

let found: Library | undefined;

function cLibrary(): Library | undefined {
  if (found !== undefined || !("Bun" in globalThis) || process.platform !== "linux") return found;
  const { dlopen } = process.getBuiltinModule("bun:ffi") as unknown as ForeignFunctions;
  for (const name of LIBRARIES) {
    try {
      return found = dlopen(name, {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
        close: { args: ["i32"], returns: "i32" },
      }).symbols;
    } catch {
      // It has another name here.
    }
  }
  return undefined;
}
