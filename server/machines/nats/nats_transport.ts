import type { Authenticator, ConnectionOptions, NatsConnection, Status } from "@nats-io/nats-core";
import { Silence } from "../../cluster/silence.ts";
import { settledWithin } from "../../timing/settled_within.ts";
import { STALL_MS } from "../../limits/clients.ts";
import { MAX_COLLECTED_BYTES } from "../../limits/messages.ts";
import type { CoarseClock } from "../../timing/coarse_clock.ts";
import { FIRST_CONNECT_MS, RECONNECT_JITTER_MS, RECONNECT_MS } from "../wire/limits.ts";
import type { Transport, TransportEvents } from "../transport.ts";
import { guardSockets } from "./socket_errors.ts";

/** The servers of NATS, and the login there. Only the addresses are ever logged. */
export interface NatsOptions {
  /** Its servers, such as `127.0.0.1:4222`, without users or keys. */
  readonly servers: readonly string[];
  /** The cluster's name, which is part of all subjects. */
  readonly name: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The content of a credentials file of NATS: a user's JWT, and its key. */
  readonly credentials?: string;
  /** True to speak TLS only. */
  readonly isSecure: boolean;
  /** The certificates of authorities to trust, as PEM; the system's unless given. */
  readonly ca?: string;
  /** The longest frame that must fit, in bytes. */
  readonly minPayloadBytes: number;
}

/** NATS can't be used as it is: another attempt would come to the same. */
export class NatsFault extends Error {
  override readonly name = "NatsFault";
}

/** Milliseconds between two pings; two without an answer end a connection. */
const PING_INTERVAL_MS = 5_000;

/** The names of nats.js's errors that mean that NATS doesn't let this server in. */
const REFUSALS = ["AuthorizationError", "UserAuthenticationExpiredError", "InvalidArgumentError"];

/**
 * Frames over NATS: all machines hear `hotwheels.NAME.all`, and each one `hotwheels.NAME.to.MACHINE`.
 *
 * nats.js never pushes back: it keeps what its socket doesn't take. So what NATS has taken is measured by pings,
 * of which one is under way at a time, and while NATS takes nothing for a second nothing more is given to it.
 */
export class NatsTransport implements Transport {
  readonly #options: NatsOptions;
  readonly #events: TransportEvents;
  readonly #machine: string;
  #connection: NatsConnection | undefined;
  /** The permission that NATS has denied on this connection. */
  #denial: string | undefined;
  #isConnected = false;
  #isStalled = false;
  #isClosed = false;
  #sentBytes = 0;
  #flushedBytes = 0;
  /** The connection that is asked what it has taken. One that was given up since then may never say. */
  #flushing: NatsConnection | undefined;
  /** The number of the connection: what an earlier one has taken doesn't count. */
  #epoch = 0;
  readonly #silence: Silence;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    machine: string,
    options: NatsOptions,
    clock: CoarseClock,
    events: TransportEvents,
  ) {
    this.#machine = machine;
    this.#silence = new Silence(clock);
    this.#options = options;
    this.#events = events;
  }

  /**
   * Connects with NATS. If NATS can't be reached now, it goes on trying for ever.
   *
   * @throws {NatsFault} (rejects) if NATS doesn't let this server in, or takes no frame as large as needed.
   */
  static async open(
    machine: string,
    options: NatsOptions,
    clock: CoarseClock,
    events: TransportEvents,
  ): Promise<NatsTransport> {
    const transport = new NatsTransport(machine, options, clock, events);
    try {
      await transport.#connect();
    } catch (error) {
      if (error instanceof NatsFault) throw error;
      events.onAway(reasonOf(error));
      transport.#retry();
    }
    return transport;
  }

  get isConnected(): boolean {
    return this.#isConnected && !this.#isStalled;
  }

  get isFull(): boolean {
    return this.isConnected && this.unsentBytes > MAX_COLLECTED_BYTES;
  }

  get unsentBytes(): number {
    return this.#sentBytes - this.#flushedBytes;
  }

  get maxFrameBytes(): number {
    return this.#connection?.info?.max_payload ?? 0;
  }

  get ownAddress(): string {
    const address = this.#connection?.info?.client_ip ?? "";
    return address.includes(":") ? `[${address}]` : address;
  }

  send(frame: Uint8Array, machine?: string): void {
    const connection = this.#connection;
    if (connection === undefined || !this.isConnected) return;
    if (frame.length > this.maxFrameBytes) return;
    const { name } = this.#options;
    const subject = machine === undefined
      ? `hotwheels.${name}.all`
      : `hotwheels.${name}.to.${machine}`;
    try {
      connection.publish(subject, frame);
    } catch {
      // It has been closed, of which the events tell.
      return;
    }
    this.#sentBytes += frame.length;
    if (!this.#isFlushing) void this.#flush(connection);
  }

  sweep(): void {
    // NATS can be given another configuration while it runs.
    const narrowness = this.#isConnected ? this.#narrownessOf(this.#connection!) : undefined;
    if (narrowness !== undefined) return this.#abandon(narrowness);
    this.#silence.look(this.#isConnected && this.#isFlushing);
    if (!this.#silence.isLong || this.#isStalled || !this.#isConnected) return;
    this.#isStalled = true;
    this.#events.onAway("it takes nothing");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.isConnected) await settledWithin(STALL_MS, [connection.flush()]);
    this.#isConnected = false;
    await connection.close().catch(() => {});
  }

  async #connect(): Promise<void> {
    const { connect, credsAuthenticator } = await import("@nats-io/transport-node");
    await guardSockets();
    const { servers, user, password, token, credentials, isSecure, ca, name } = this.#options;
    const options: ConnectionOptions = {
      servers: [...servers],
      name: `hotwheels ${name} ${this.#machine}`,
      noEcho: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      reconnectJitter: RECONNECT_JITTER_MS,
      reconnectJitterTLS: RECONNECT_JITTER_MS,
      ignoreAuthErrorAbort: true,
      timeout: FIRST_CONNECT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      noAsyncTraces: true,
      ...(user === undefined ? {} : { user, pass: password ?? "" }),
      ...(token === undefined ? {} : { token }),
      ...(isSecure ? { tls: ca === undefined ? {} : { ca } } : {}),
      ...(credentials === undefined ? {} : {
        authenticator: checked(credsAuthenticator(new TextEncoder().encode(credentials))),
      }),
    };
    let connection: NatsConnection;
    try {
      connection = await connect(options);
    } catch (error) {
      const { name, message } = error as Error;
      if (REFUSALS.includes(name) || message.includes("'tls'")) {
        throw new NatsFault(reasonOf(error));
      }
      throw error;
    }
    if (this.#isClosed) return await connection.close();
    const narrowness = this.#narrownessOf(connection);
    if (narrowness !== undefined) {
      await connection.close();
      throw new NatsFault(narrowness);
    }
    this.#connection = connection;
    this.#denial = undefined;
    void this.#watch(connection);
    const own = `hotwheels.${name}.to.${this.#machine}`;
    for (const subject of [`hotwheels.${name}.all`, own]) {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (this.#connection !== connection) return;
          if (error === null) return this.#events.onFrame(message.data, subject === own);
          this.#deny(`it doesn't let this server hear ${subject}; give its user that permission`);
        },
      });
    }
    try {
      // No machine listens there. The answer of NATS shows whether this server may publish.
      connection.publish(own);
      await connection.flush();
      await this.#demandNoDenial();
    } catch (error) {
      // It would come again by itself, beside the next one.
      if (this.#connection === connection) this.#connection = undefined;
      void connection.close().catch(() => {});
      throw error;
    }
    this.#stand();
  }

  /** @throws {NatsFault} (rejects) if NATS has denied something since the connection stands. */
  async #demandNoDenial(): Promise<void> {
    // A denial that NATS has sent in front of the flush is reported on a later turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (this.#denial !== undefined) throw new NatsFault(this.#denial);
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#connection === connection) this.#note(status);
    }
    // It closes by itself only for good.
    if (!this.#isClosed && this.#connection === connection) {
      this.#abandon("the connection was closed");
    }
  }

  #note(status: Status): void {
    switch (status.type) {
      case "disconnect":
      case "staleConnection":
        return this.#fall("the connection was lost");
      case "reconnect":
        return this.#denial === undefined ? this.#stand() : this.#abandon(this.#denial);
      case "error":
        this.#events.onError(reasonOf(status.error));
        if (status.error.name !== "PermissionViolationError") return;
        return this.#deny(`it denies this server something: ${status.error.message}`);
    }
  }

  /** Why the longest frame doesn't fit, in words; `undefined` if it does. */
  #narrownessOf(connection: NatsConnection): string | undefined {
    const most = connection.info?.max_payload ?? 0;
    const { minPayloadBytes } = this.#options;
    if (most >= minPayloadBytes) return undefined;
    return `its max_payload is ${most} bytes, and the largest message takes ${minPayloadBytes}: raise the one ` +
      "or lower --max-frame-bytes";
  }

  /** NATS denies something. What it denied once nats.js doesn't ask for again, so that takes another connection. */
  #deny(denial: string): void {
    this.#denial ??= denial;
    if (this.#isConnected) this.#abandon(denial);
  }

  /** Gives a connection up that can't be used as it is, and tries to make another one. */
  #abandon(reason: string): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#fall(reason);
    void connection?.close().catch(() => {});
    this.#retry();
  }

  /** Tries to connect again in a while. */
  #retry(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#retryTimer);
    const waitMs = RECONNECT_MS + Math.random() * RECONNECT_JITTER_MS;
    this.#retryTimer = setTimeout(() => {
      this.#connect().catch((error) => {
        if (error instanceof NatsFault) this.#events.onError(error.message);
        this.#retry();
      });
    }, waitMs);
  }

  #stand(): void {
    this.#sentBytes = this.#flushedBytes = 0;
    this.#epoch++;
    this.#isStalled = false;
    this.#silence.end();
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#events.onConnected();
  }

  #fall(reason: string): void {
    this.#isStalled = false;
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#events.onAway(reason);
  }

  get #isFlushing(): boolean {
    return this.#flushing !== undefined && this.#flushing === this.#connection;
  }

  /** Finds out what NATS has taken, until it has taken all. nats.js's `flush` never ends on a connection that is closed. */
  async #flush(connection: NatsConnection): Promise<void> {
    this.#flushing = connection;
    while (this.#isConnected && this.#sentBytes > this.#flushedBytes) {
      const epoch = this.#epoch;
      const sentBytes = this.#sentBytes;
      try {
        await connection.flush();
      } catch {
        break;
      }
      if (this.#connection !== connection) return;
      this.#silence.end();
      if (epoch !== this.#epoch) continue;
      this.#flushedBytes = sentBytes;
      const wasStalled = this.#isStalled;
      this.#isStalled = false;
      if (wasStalled && this.#isConnected) this.#events.onConnected();
      if (!this.isFull) this.#events.onCaughtUp();
    }
    if (this.#flushing === connection) this.#flushing = undefined;
  }
}

/** @throws {NatsFault} if the credentials can't be used: nats.js itself would find that anew with each attempt. */
function checked(authenticator: Authenticator): Authenticator {
  try {
    authenticator("a nonce");
  } catch (cause) {
    throw new NatsFault("the credentials file holds no user's JWT with its key", { cause });
  }
  return authenticator;
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const code = (cause as { code?: string } | undefined)?.code;
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}
