/** How long after a strike a connection may still turn out to have been the victim's. */
const AFTERMATH_MS = 5_000;

/** How long after a change of certificate a connection may have been in a socket that was relieved. */
const RENEWAL_AFTERMATH_MS = 1_000;

/** From the beginning of a hang to when a worker has done all that piled up, on a busy machine. */
const CATCH_UP_MS = 15_000;

/** A worker that was made to end, or to stand still, on purpose. */
export interface Kill {
  /** Seconds from the command's beginning. */
  readonly at_s: number;
  readonly pid: number;
  /**
   * By SIGKILL; by SIGTERM, upon which it says goodbye to each client; or it was only stopped for some
   * time, after which it goes on as if nothing had been.
   */
  readonly how: "killed" | "asked" | "hung";
  /** The connections it had, of all clients. */
  readonly connections: number;
}

/** Which connections went with a worker that was made to end, so that no other loss is excused. */
export class Kills {
  readonly kills: Kill[] = [];
  readonly #timesMs: number[] = [];
  readonly #spans: { readonly fromMs: number; readonly toMs: number }[] = [];
  #hung = { pid: 0, atMs: -Infinity };
  readonly #doomedPorts = new Set<number>();
  readonly #nowMs: () => number;
  #renewedMs = -Infinity;
  #lastHow: "killed" | "asked" | undefined;

  /** @param nowMs A monotonic clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * A worker is about to be made to end.
   *
   * @param ports The clients' ports of its connections.
   */
  add(kill: Kill, ports: readonly number[]): void {
    this.kills.push(kill);
    // Nothing may be lost with a worker that goes on.
    if (kill.how === "hung") {
      this.#hung = { pid: kill.pid, atMs: this.#nowMs() };
      return;
    }
    this.#spans.push({ fromMs: this.#unservedSinceMs(kill.pid), toMs: this.#nowMs() });
    this.#lastHow = kill.how;
    this.#timesMs.push(this.#nowMs());
    this.#doomedPorts.clear();
    for (const port of ports) this.#doomedPorts.add(port);
  }

  /** Whether a connection, lost just now, was the victim's. */
  explainsLoss(localPort: number): boolean {
    return this.isRecent && this.#doomedPorts.has(localPort);
  }

  /**
   * Whether a client may be told just now that its server stops: its worker was asked to end, or must be
   * the one that was, since it greeted the client after it had been.
   */
  explainsFarewell(localPort: number, greetedMs: number): boolean {
    if (!this.isRecent || this.#lastHow !== "asked") return false;
    return this.#doomedPorts.has(localPort) || greetedMs >= this.#timesMs.at(-1)!;
  }

  /**
   * Whether a client may be told just now, in place of a greeting, that its server stops: it came to a
   * worker that was asked to end.
   */
  get explainsRefusal(): boolean {
    return this.isRecent && this.#lastHow === "asked";
  }

  /** The server changes its certificate, and resets connections that it hasn't accepted yet. */
  addRenewal(): void {
    this.#renewedMs = this.#nowMs();
  }

  /** Whether a connection that wasn't accepted may be lost just now. */
  get explainsNoGreeting(): boolean {
    return this.isRecent || this.#nowMs() - this.#renewedMs < RENEWAL_AFTERMATH_MS;
  }

  /** Whether a worker was made to end so lately that it may have had connections it hadn't accepted. */
  get isRecent(): boolean {
    const last = this.#timesMs.at(-1);
    return last !== undefined && this.#nowMs() - last < AFTERMATH_MS;
  }

  /**
   * Whether a worker was made to end between two moments, or hung before it was and may not have caught
   * up with what it had accepted.
   */
  hasOneBetween(fromMs: number, toMs: number): boolean {
    return this.#spans.some((span) => span.toMs >= fromMs && span.fromMs <= toMs);
  }

  #unservedSinceMs(pid: number): number {
    const nowMs = this.#nowMs();
    const { pid: hungPid, atMs } = this.#hung;
    return hungPid === pid && nowMs - atMs < CATCH_UP_MS ? atMs : nowMs;
  }
}
