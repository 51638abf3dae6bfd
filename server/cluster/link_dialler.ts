import { type Runtime, TransportError, type TransportErrorCode } from "../../runtime/types.ts";
import type { UnreachableProcess } from "./backplane.ts";
import { LINK_DEADLINE_MS } from "../limits/processes.ts";
import { type CarrierOwner, LinkCarrier } from "./link_carrier.ts";
import type { LinkManners, LinkStream } from "./link_stream.ts";
import type { OutboxContext } from "../flow/outbox.ts";

/** Milliseconds before a link is dialled again; they double with each failure in a row. */
const FIRST_REDIAL_MS = 10;
const MAX_REDIAL_MS = 1_000;

/** Milliseconds between two checks of a link that is down, and between two reports about it. */
const JUDGING_INTERVAL_MS = 1_000;
const COMPLAINT_INTERVAL_MS = 10_000;

/** The state of a link to another process that was down for a while. */
export interface LinkState {
  /** The path of the other process's socket. */
  readonly path: string;
  /** True if it stands again. */
  readonly stands: boolean;
  /** Milliseconds for which it was, or is, down. */
  readonly downMs: number;
  /** The reason why it broke, or couldn't be connected. */
  readonly cause: string;
}

/** The parts of the server that dialling uses. */
export interface DiallingHost extends OutboxContext {
  readonly runtime: Runtime;
  /** Called when a link has broken, or couldn't be connected. It is dialled again. */
  onLinkFailure(error: Error): void;
  /** Called every 10 s while a link is down, and when it stands again. */
  onLinkState(state: LinkState): void;
  /** Called once a second while a link that stood has been down for {@linkcode LINK_DEADLINE_MS}. */
  onUnreachable(process: UnreachableProcess): void;
}

/** The parts of the process that dialling uses. */
export type LinkDiallerHost = DiallingHost & LinkManners;

/** The events that dialling reports to its link. */
export interface DiallerEvents {
  /** Called when the link stands, for the first time or again. */
  onStanding(): void;
  /** Called when some of the waiting bytes have left. */
  onDrain(): void;
  /** Called once, last, when the link has ended. */
  onGone(): void;
}

/**
 * Keeps a link to another process standing. It dials until the other process answers, and again whenever
 * the connection breaks, as long as that process lives.
 */
export class LinkDialler implements CarrierOwner {
  readonly #path: string;
  readonly #stream: LinkStream;
  readonly #host: LinkDiallerHost;
  readonly #events: DiallerEvents;
  #carrier: LinkCarrier | undefined;
  #stands = false;
  #hasStood = false;
  #isEnding = false;
  #isGone = false;
  /** The number of failures in a row. */
  #failures = 0;
  #error: Error | undefined;
  #downSinceMs = performance.now();
  #complainedMs = 0;
  #redialTimer: ReturnType<typeof setTimeout> | undefined;
  #judgingTimer: ReturnType<typeof setInterval> | undefined;

  constructor(path: string, stream: LinkStream, host: LinkDiallerHost, events: DiallerEvents) {
    this.#path = path;
    this.#stream = stream;
    this.#host = host;
    this.#events = events;
  }

  /** Begins to dial. To be called once. */
  start(): void {
    this.#beginDown();
    void this.#dial();
  }

  /** To be called when the other process has ended: reads what it has sent, then ends the link. */
  end(): void {
    this.#isEnding = true;
    if (this.#carrier === undefined) this.#finish();
  }

  /** Ends the link when the chunk in flight has left. */
  close(): void {
    this.#isEnding = true;
    if (this.#carrier === undefined) this.#finish();
    else this.#carrier.close();
  }

  /** True if the link has broken, and no process listens at the other process's path any more. */
  get isDeserted(): boolean {
    return this.#hasStood && !this.#stands && codeOf(this.#error) === "connection_refused";
  }

  onGreeting(carrier: LinkCarrier, position: number): LinkStream {
    this.#stream.carryOn(carrier, position);
    clearInterval(this.#judgingTimer);
    const downMs = performance.now() - this.#downSinceMs;
    if (this.#hasStood || this.#complainedMs > 0) this.#tellState(true, downMs);
    this.#stands = this.#hasStood = true;
    this.#failures = 0;
    this.#complainedMs = 0;
    this.#events.onStanding();
    return this.#stream;
  }

  onDrain(): void {
    this.#events.onDrain();
  }

  onGone(_: LinkCarrier, cause: Error | undefined): void {
    this.#carrier = undefined;
    if (this.#isEnding) return this.#finish();
    if (this.#stands) this.#beginDown();
    this.#fail(cause ?? new Error("the connection was closed"));
  }

  #beginDown(): void {
    this.#stands = false;
    this.#downSinceMs = performance.now();
    clearInterval(this.#judgingTimer);
    this.#judgingTimer = setInterval(() => this.#judge(), JUDGING_INTERVAL_MS);
  }

  async #dial(): Promise<void> {
    const address = { transport: "unix", path: this.#path } as const;
    try {
      await this.#host.runtime.connect(address, (connection) => {
        const carrier = this.#carrier = new LinkCarrier(connection, this.#host, this);
        this.#stream.greet(carrier);
        return carrier;
      });
      if (this.#isGone) this.#carrier?.destroy();
    } catch (error) {
      if (!this.#isGone) this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#error = error;
    this.#host.onLinkFailure(error);
    const waitMs = Math.min(MAX_REDIAL_MS, FIRST_REDIAL_MS * 2 ** this.#failures++);
    this.#redialTimer = setTimeout(() => void this.#dial(), waitMs);
  }

  #judge(): void {
    const nowMs = performance.now();
    const downMs = nowMs - this.#downSinceMs;
    if (this.#complainedMs === 0 || nowMs - this.#complainedMs >= COMPLAINT_INTERVAL_MS) {
      this.#complainedMs = nowMs;
      this.#tellState(false, downMs);
    }
    if (!this.#hasStood || downMs < LINK_DEADLINE_MS) return;
    const isOwnFault = codeOf(this.#error) === "descriptors_exhausted";
    this.#host.onUnreachable({ path: this.#path, isOwnFault, downMs, cause: this.#cause });
  }

  #tellState(stands: boolean, downMs: number): void {
    this.#host.onLinkState({ path: this.#path, stands, downMs, cause: this.#cause });
  }

  get #cause(): string {
    return this.#error?.message ?? "the other process doesn't answer";
  }

  #finish(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    clearTimeout(this.#redialTimer);
    clearInterval(this.#judgingTimer);
    this.#events.onGone();
  }
}

function codeOf(error: Error | undefined): TransportErrorCode | undefined {
  return error instanceof TransportError ? error.code : undefined;
}
