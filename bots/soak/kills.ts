/** How long after a strike a connection may still turn out to have been the victim's. */
const AFTERMATH_MS = 5_000;

/** How long after a change of certificate a connection may have been in a socket that was relieved. */
const RENEWAL_AFTERMATH_MS = 1_000;

/** A worker that was made to end on purpose. */
export interface Kill {
  /** Seconds from the command's beginning. */
  readonly at_s: number;
  readonly pid: number;
  /** By SIGKILL, or by SIGTERM, upon which it says goodbye to each client. */
  readonly how: "killed" | "asked";
  /** The connections it had, of all clients. */
  readonly connections: number;
}

/** Which connections went with a worker that was made to end, so that no other loss is excused. */
export class Kills {
  readonly kills: Kill[] = [];
  readonly #timesMs: number[] = [];
  readonly #doomedPorts = new Set<number>();
  readonly #nowMs: () => number;
  #renewedMs = -Infinity;

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
    if (!this.isRecent || this.kills.at(-1)!.how !== "asked") return false;
    return this.#doomedPorts.has(localPort) || greetedMs >= this.#timesMs.at(-1)!;
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

  /** Whether a worker was made to end between two moments. */
  hasOneBetween(fromMs: number, toMs: number): boolean {
    return this.#timesMs.some((ms) => ms >= fromMs && ms <= toMs);
  }
}
