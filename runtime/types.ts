/**
 * The runtime contract: the smallest set of socket operations that Deno and Bun both do at full
 * speed. Everything outside `runtime/` talks to sockets through these interfaces only.
 *
 * Every adapter is held to one conformance suite (`test/runtime/`), which has a case for each
 * sentence below.
 *
 * @module
 */

/** The address of a listener or of a peer. */
export type Address =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };

/** A listener's TLS certificate and key. */
export interface TlsIdentity {
  /** The certificate, and those between it and its root, as PEM text. */
  readonly cert: string;
  /** The certificate's private key, as PEM text. */
  readonly key: string;
}

/** The certificates that a client accepts. */
export interface TlsTrust {
  /** Further certificate authorities, as PEM text, besides those that the runtime trusts. */
  readonly ca?: string;
  /** The name or IP address that the listener's certificate must be for. */
  readonly serverName: string;
}

/** The options of a listener. */
export type ListenOptions =
  & (
    | {
      readonly transport: "tcp";
      /** An address or a name; `0.0.0.0` or `::` for every interface. */
      readonly hostname: string;
      /** 0 lets the system choose; {@linkcode Listener.address} has the result. */
      readonly port: number;
      /**
       * Share the port with other processes (`SO_REUSEPORT`). `claim` fails if any socket listens there,
       * and shares the port with those that `join` it later. Without this option no other process may
       * listen there, now or later.
       */
      readonly reusePort?: "claim" | "join";
      /**
       * A listening socket that this process has inherited, to take over in place of a new one; the name and the
       * port above don't count. Bun can, without TLS; elsewhere listening fails with `unsupported`.
       */
      readonly descriptor?: number;
    }
    | {
      readonly transport: "unix";
      /** The socket's file. It must not exist; it is removed when the listener closes. */
      readonly path: string;
    }
  )
  & {
    /** Speak TLS with clients, on TCP only; without it, plain bytes. */
    readonly tls?: TlsIdentity;
    /**
     * Called for each accept that failed. The listener has survived it and goes on by itself, after
     * a pause where the system is out of descriptors. Not every runtime reports every failure.
     */
    readonly onAcceptError?: (error: TransportError) => void;
    /**
     * Called before each accept. Return `undefined` to go on, or a promise to wait for; clients that
     * connect meanwhile wait in the kernel's queue. Deno calls it; Bun can't be kept from accepting, and
     * doesn't.
     */
    readonly beforeAccept?: () => Promise<void> | undefined;
  };

/** The address to connect to, and the options. */
export type ConnectOptions = Address & {
  /**
   * Gives up with `timed_out` after this many milliseconds, a TLS handshake included; without it,
   * the system decides.
   */
  readonly timeoutMs?: number;
  /** Speak TLS, on TCP only; without it, plain bytes. */
  readonly tls?: TlsTrust;
};

/** The reason for a socket's error, the same on every runtime. */
export type TransportErrorCode =
  | "address_in_use"
  | "address_not_available"
  | "certificate_unusable"
  | "connection_refused"
  | "connection_reset"
  | "descriptors_exhausted"
  | "handshake_failed"
  | "host_not_found"
  | "not_found"
  | "permission_denied"
  | "timed_out"
  | "unsupported"
  | "other";

/** A failed listen, accept or connect. `cause` holds the runtime's own error. */
export class TransportError extends Error {
  /** Always `TransportError`. */
  override readonly name = "TransportError";
  /** The reason, the same on every runtime. */
  readonly code: TransportErrorCode;
  /**
   * Makes an error.
   *
   * @param message One line that names the action and the address.
   */
  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The end of a connection.
 *
 * - `finished`: both sides ended their sending in order, or our `close()` ran its course.
 * - `reset`: the peer aborted it, or the network failed; bytes in flight may be lost.
 * - `destroyed`: our side called `destroy()`.
 */
export type TransportEnd = "finished" | "reset" | "destroyed";

/** A live byte stream to one peer. */
export interface Connection {
  /** The peer's IP address without its port; the empty string on a Unix socket. */
  readonly remoteAddress: string;

  /** The peer's port, also after the connection's end; 0 on a Unix socket. */
  readonly remotePort: number;

  /**
   * The bytes of the chunk in flight that the kernel hasn't taken yet; 0 if none is in flight. The number
   * shrinks as the peer takes bytes, so that a slow peer can be told from a stalled one.
   */
  readonly unsentBytes: number;

  /**
   * The most bytes of a chunk in flight that are copied until the kernel has taken them, as TLS does
   * piece by piece. Absent if none are.
   */
  readonly copiedBytes?: number;

  /**
   * The bytes of memory held now for received data that isn't delivered: because reading is paused, or
   * because a TLS record or handshake is incomplete; 0 after the connection's end. `onHeld` says that it
   * may have changed. Absent if it never changes.
   */
  readonly heldBytes?: number;

  /**
   * True if some of that will be delivered as soon as reading goes on, without further data. Absent if
   * that never happens.
   */
  readonly hasUndelivered?: boolean;

  /**
   * Sends `chunk`. At most one chunk is in flight.
   *
   * - `true`: the kernel took all of it; write again at once if you like.
   * - `false`: the adapter keeps the chunk and sends it in full; write nothing until `onDrain`.
   *
   * The chunk is never written to, and must not be changed until it is sent; it may be shared with
   * other connections. After `close()`, `destroy()` or the connection's end this does nothing and
   * returns `false`, and no `onDrain` follows. An empty chunk is `true` and sends nothing.
   *
   * @throws {Error} while another chunk is in flight.
   */
  write(chunk: Uint8Array): boolean;

  /**
   * Stops `onData` and `onEnd` until {@linkcode resumeReading}; idempotent. A reset may close the
   * connection all the same, but not before what arrived ahead of it is delivered.
   */
  pauseReading(): void;

  /** Undoes {@linkcode pauseReading}; idempotent. Data that arrived in between is delivered in order. */
  resumeReading(): void;

  /**
   * Sends the chunk in flight, then FIN; idempotent. What the peer sends from now on is read and
   * discarded, so that a close with unread bytes does not become an RST that eats our last words.
   * `onClose("finished")` comes when the peer has ended too. A peer that never does holds the
   * descriptor: give up on it with {@linkcode destroy}.
   */
  close(): void;

  /**
   * Takes received bytes that aren't delivered yet, without waiting for a turn of the loop. It's for an
   * owner that must decide about the connection now; `onData` brings the rest.
   *
   * @param into Receives as many bytes as fit.
   * @returns the number of bytes; 0 also if that isn't known: on Deno, and through TLS.
   */
  takeArrived(into: Uint8Array): number;

  /**
   * Frees the descriptor without waiting for the peer; idempotent. What the kernel has taken still
   * goes out, then FIN; a chunk in flight is dropped. What the peer sends from now on is answered
   * with RST: where the peer may still be sending, {@linkcode close} is the better end.
   * `onClose("destroyed")` comes when the descriptor is free.
   */
  release(): void;

  /**
   * Drops what is in flight and frees the descriptor, at the latest when `onClose("destroyed")`
   * comes; idempotent.
   */
  destroy(): void;
}

/**
 * The callbacks of a connection's owner. No callback is made from inside a {@linkcode Connection} method,
 * and none before `accept` has returned the handler.
 */
export interface ConnectionHandler {
  /** The address whose turns the connection shares if many wait to be read on. Absent: the peer's. */
  site?(): string;
  /**
   * True if little is expected of the peer just now, so that it is read on before others of its address.
   * Absent: false.
   */
  isLight?(): boolean;
  /**
   * The TLS handshake with an accepted peer has succeeded. Comes once, before anything but `onClose`;
   * never without TLS, nor for an outgoing connection, which is secure when it is handed over. Earlier
   * writes wait for it. A handshake that fails is a `reset` whose cause has the code `handshake_failed`.
   * One that stands still does so until `destroy()`.
   */
  onSecure?(): void;
  /** Bytes arrived. The chunk is valid only during the call: copy what you keep. Never empty. */
  onData(chunk: Uint8Array): void;
  /** `heldBytes` may have changed. It may also change on the occasion of any other call. */
  onHeld?(): void;
  /** The chunk that `write` answered with `false` is sent. Once for each such write, also after `close()`. */
  onDrain(): void;
  /** The peer ended its sending side (FIN); we may still write. At most once. Nothing after `close()`. */
  onEnd(): void;
  /**
   * The connection is gone. Comes exactly once, as the last callback. `cause` is the runtime's error
   * behind a `reset`.
   */
  onClose(why: TransportEnd, cause?: Error): void;
}

/**
 * Gives a connection its owner. The owner may write to the connection already.
 *
 * An error that it throws, or that a callback of the owner throws, is a mistake of the program and
 * surfaces as an uncaught error; `connect` rejects with what it throws. Other connections go on.
 */
export type Accept = (connection: Connection) => ConnectionHandler;

/** A socket that accepts connections. */
export interface Listener {
  /** The listener's address, with the port that the system chose. */
  readonly address: Address;
  /**
   * Stops accepting, frees the address; live connections stay. Resolves when the address can be
   * listened on again; idempotent.
   */
  close(): Promise<void>;
  /**
   * Uses another identity from the next handshake on. Live connections keep theirs, and accepting goes on
   * meanwhile. Make one call at a time, and none after `close()`.
   *
   * @throws {TransportError} (rejects) when the identity can't be used; the old one stays in use.
   * @throws {TypeError} (rejects) without TLS.
   */
  renew(identity: TlsIdentity): Promise<void>;
}

/** One JavaScript runtime's sockets and event loop. */
export interface Runtime {
  /** The runtime's name; `memory` is a fake for tests. */
  readonly name: "deno" | "bun" | "memory";
  /** The runtime's own version, such as `2.9.6`. */
  readonly version: string;
  /**
   * The number of writes to make before the event loop must turn, so that other connections' reads and
   * accepts don't wait. A measured property of the runtime's loop.
   */
  readonly writesPerTurn: number;
  /** Bytes of this process that are resident in memory now. Takes some microseconds. */
  readonly residentBytes: number;
  /**
   * Collects garbage, and returns as much memory to the system as possible. Takes from some milliseconds
   * to some tenths of a second, during which nothing else runs.
   */
  giveBack(): void;
  /**
   * Checks whether a listener can use an identity, with a handshake inside this process.
   *
   * @param what The beginning of the error's message, such as `--tls-cert FILE`.
   * @throws {TransportError} (rejects) with `certificate_unusable`.
   */
  tryIdentity(identity: TlsIdentity, what: string): Promise<void>;
  /** Runs `task` as soon as the code that runs now has returned: mostly before the event loop goes on. */
  soon(task: () => void): void;
  /** Runs `task` on the next turn of the event loop, after pending I/O had its chance. */
  nextTurn(task: () => void): void;
  /**
   * Runs `task` when this turn of the event loop is over: at once, or if `isBusy()` then, as
   * {@linkcode nextTurn} does. On Deno a turn that sees new I/O takes system calls, which this saves where
   * there is nothing to do in it.
   */
  afterTurn(isBusy: () => boolean, task: () => void): void;
  /**
   * Listens, and gives each accepted connection its owner.
   *
   * TCP keep-alive is on for each connection: a peer that is gone without a word finally ends it with a
   * `reset`, even if nothing is sent. On Bun the kernel first asks after 60 s in which nothing went
   * either way, and gives up 10 s later. Deno can't set these times, so the kernel's settings hold, which
   * on Linux are `net.ipv4.tcp_keepalive_time`, `_intvl` and `_probes`: two hours and more.
   *
   * @throws {TransportError} (rejects) if it can't listen on the address.
   */
  listen(options: ListenOptions, accept: Accept): Promise<Listener>;
  /**
   * Connects, and gives the connection its owner.
   *
   * @throws {TransportError} (rejects) if the connection fails; then `accept` wasn't called.
   */
  connect(options: ConnectOptions, accept: Accept): Promise<Connection>;
}
