/**
 * The runtime contract: the smallest set of socket operations that Deno and Bun both do at full
 * speed. Everything outside `runtime/` talks to sockets through these interfaces only.
 *
 * Every adapter is held to one conformance suite (`test/runtime/`), which has a case for each
 * sentence below.
 *
 * @module
 */

/** Where a listener listens or a connection leads. */
export type Address =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };

/** Who a listener says it is, by TLS. */
export interface TlsIdentity {
  /** The certificate, and those between it and its root, as PEM text. */
  readonly cert: string;
  /** The certificate's private key, as PEM text. */
  readonly key: string;
}

/** Whom a connection believes, by TLS. */
export interface TlsTrust {
  /** Further certificate authorities, as PEM text, besides those that the runtime trusts. */
  readonly ca?: string;
  /** The name or IP address that the listener's certificate must be for. */
  readonly serverName: string;
}

/** Where to listen, and how. */
export type ListenOptions =
  & (
    | {
      readonly transport: "tcp";
      /** An address or a name; `0.0.0.0` or `::` for every interface. */
      readonly hostname: string;
      /** 0 lets the system choose; {@linkcode Listener.address} tells which. */
      readonly port: number;
      /**
       * Share the port with other processes (`SO_REUSEPORT`): `claim` it, where nobody may listen yet who
       * isn't told to `join`, or `join` those who do. Without it nobody else may, nor later.
       */
      readonly reusePort?: "claim" | "join";
    }
    | {
      readonly transport: "unix";
      /** The socket's file. It must not exist; it is removed when the listener closes. */
      readonly path: string;
    }
  )
  & {
    /** Speak TLS with those who connect, which is for TCP; without it, bytes go as they are. */
    readonly tls?: TlsIdentity;
    /**
     * Called for each accept that failed. The listener has survived it and goes on by itself, after
     * a pause where the system is out of descriptors. Not every runtime reports every failure.
     */
    readonly onAcceptError?: (error: TransportError) => void;
    /**
     * Asked before each accept: `undefined` to go on, or a promise to wait for. Those who connect
     * meanwhile wait in the kernel's queue. Deno asks; Bun can't be kept from accepting, and doesn't.
     */
    readonly beforeAccept?: () => Promise<void> | undefined;
  };

/** Where to connect, and for how long to try. */
export type ConnectOptions = Address & {
  /**
   * Gives up with `timed_out` after this many milliseconds, a TLS handshake included; without it,
   * the system decides.
   */
  readonly timeoutMs?: number;
  /** Speak TLS, which only TCP has; without it, bytes go as they are. */
  readonly tls?: TlsTrust;
};

/** What went wrong with a socket, in words that are the same on every runtime. */
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
  /** What went wrong, the same on every runtime. */
  readonly code: TransportErrorCode;
  /**
   * An error of that code.
   *
   * @param message One line that names what was tried and where.
   */
  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * How a connection ended.
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
   * How many bytes of the chunk in flight the kernel has not taken yet; 0 when none is in flight.
   * It shrinks as the peer takes bytes, so whoever watches it can tell a slow peer from a stalled one.
   */
  readonly unsentBytes: number;

  /**
   * How many bytes of a chunk in flight are copied at most until the kernel has taken them, as TLS does
   * piece by piece. Absent where none are.
   */
  readonly copiedBytes?: number;

  /**
   * How many bytes of memory are held just now of what arrived and isn't delivered: because reading is
   * paused, or because a record of TLS or its handshake isn't complete; 0 after the connection's end.
   * `onHeld` tells that it may have changed. Absent where it's always the same.
   */
  readonly heldBytes?: number;

  /**
   * Whether some of that is delivered as soon as reading goes on, with nothing more to arrive. Absent
   * where there never is any.
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

  /** Undoes {@linkcode pauseReading}; idempotent. What arrived in between comes in order. */
  resumeReading(): void;

  /**
   * Sends the chunk in flight, then FIN; idempotent. What the peer sends from now on is read and
   * discarded, so that a close with unread bytes does not become an RST that eats our last words.
   * `onClose("finished")` comes when the peer has ended too. A peer that never does holds the
   * descriptor: give up on it with {@linkcode destroy}.
   */
  close(): void;

  /**
   * Takes what has arrived and isn't delivered yet, without waiting for a turn of the loop. It's for
   * an owner that must decide about the connection now; `onData` brings the rest.
   *
   * @param into Where the bytes go, as many as fit.
   * @returns How many there were; 0 also where that can't be told: on Deno, and through TLS.
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
 * What a connection tells its owner. No callback is made from inside a {@linkcode Connection}
 * method, and none before `accept` has returned the handler.
 */
export interface ConnectionHandler {
  /**
   * The address that the connection shares its turns with, where many have to wait until they're read on.
   * Absent: the peer's.
   */
  site?(): string;
  /**
   * Whether little is expected of the peer just now, so that it's read on before others of its address.
   * Absent: much is.
   */
  isLight?(): boolean;
  /**
   * The TLS handshake with an accepted peer has succeeded: once, before anything but `onClose`; never
   * without TLS, nor for a connection that we made, which is secure when it is handed over. What was
   * written before waits for it. A handshake that fails is a `reset` whose cause has the code
   * `handshake_failed`. One that stands still does so until `destroy()`.
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
  /** The connection is gone: exactly once, last. `cause` is the runtime's error behind a `reset`. */
  onClose(why: TransportEnd, cause?: Error): void;
}

/**
 * Gives a connection its owner. It may write to the connection already.
 *
 * What it throws, or a callback of the owner's, is a mistake of the program's and surfaces as an
 * uncaught error; `connect` rejects with what it throws. Other connections go on.
 */
export type Accept = (connection: Connection) => ConnectionHandler;

/** A socket that accepts connections. */
export interface Listener {
  /** Where it listens, with the port that the system chose. */
  readonly address: Address;
  /**
   * Stops accepting, frees the address; live connections stay. Resolves when the address can be
   * listened on again; idempotent.
   */
  close(): Promise<void>;
  /**
   * Uses another identity from the next handshake on; live connections keep theirs, and accepting
   * goes on meanwhile. One call at a time, and none after `close()`.
   *
   * @throws {TransportError} (rejects) when the identity can't be used; the old one stays in use.
   * @throws {TypeError} (rejects) without TLS.
   */
  renew(identity: TlsIdentity): Promise<void>;
}

/** One JavaScript runtime's sockets and event loop. */
export interface Runtime {
  /** Which runtime; `memory` is a fake for tests. */
  readonly name: "deno" | "bun" | "memory";
  /** The runtime's own version, such as `2.9.6`. */
  readonly version: string;
  /**
   * How many writes to make before the event loop must turn, so that other connections' reads and
   * accepts aren't kept waiting. A measured property of the runtime's loop.
   */
  readonly writesPerTurn: number;
  /** Bytes of this process that the machine's memory holds now. Some microseconds' work. */
  readonly residentBytes: number;
  /**
   * Collects garbage, and gives the system what memory it can. It takes from some milliseconds to some
   * tenths of a second, in which nothing else goes on.
   */
  giveBack(): void;
  /**
   * Finds out whether a listener can use an identity, with a handshake that no other process takes part in.
   *
   * @param what Begins the error's message, such as `--tls-cert FILE`.
   * @throws {TransportError} (rejects) with `certificate_unusable`.
   */
  tryIdentity(identity: TlsIdentity, what: string): Promise<void>;
  /** Runs `task` on the next turn of the event loop, after pending I/O had its chance. */
  nextTurn(task: () => void): void;
  /**
   * Listens, and gives each connection that comes its owner.
   *
   * TCP keep-alive is on for each: a peer that is gone without a word ends it with a `reset` in the end,
   * also where nothing is sent. The kernel first asks after 60 s in which nothing went either way, and
   * gives up 10 s later, where the runtime can set these times (Bun); else its own settings hold (Deno),
   * which on Linux are `net.ipv4.tcp_keepalive_time`, `_intvl` and `_probes`: two hours and more.
   *
   * @throws {TransportError} (rejects) when the address can't be had.
   */
  listen(options: ListenOptions, accept: Accept): Promise<Listener>;
  /**
   * Connects, and gives the connection its owner.
   *
   * @throws {TransportError} (rejects) when there is no connection; `accept` was not called then.
   */
  connect(options: ConnectOptions, accept: Accept): Promise<Connection>;
}
