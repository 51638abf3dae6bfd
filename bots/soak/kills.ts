/** How long after a strike a connection may have been the victim's that wasn't among those it had. */
const AFTERMATH_MS = 5_000;

/**
 * How long after a strike the end of a connection that the victim had may be noticed: on a busy machine a
 * process takes long to end, and this one to hear of it.
 */
const NOTICE_MS = 30_000;

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
   * time, after which it goes on as if nothing had been, unless the server has killed it meanwhile: then
   * it's counted as killed too.
   */
  readonly how: "killed" | "asked" | "hung";
  /** The connections it had, of all clients. */
  readonly connections: number;
}

/** A worker that was made to end, as far as its clients are concerned. */
interface Strike {
  readonly how: Kill["how"];
  readonly atMs: number;
  /** The clients' ports of the connections that it had. */
  readonly ports: ReadonlySet<number>;
}

/** Which connections went with a worker that was made to end, so that no other loss is excused. */
export class Kills {
  readonly kills: Kill[] = [];
  readonly #strikes: Strike[] = [];
  readonly #spans: { readonly fromMs: number; readonly toMs: number }[] = [];
  #hung = { pid: 0, atMs: -Infinity };
  /** The worker that hangs, or did so lately that the server may be about to kill it. */
  #hanging: Strike | undefined;
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
    const strike = { how: kill.how, atMs: this.#nowMs(), ports: new Set(ports) };
    if (kill.how === "hung") {
      this.#hung = { pid: kill.pid, atMs: strike.atMs };
      this.#hanging = strike;
      return;
    }
    this.#hanging = undefined;
    this.#spans.push({ fromMs: this.#unservedSinceMs(kill.pid), toMs: strike.atMs });
    this.#strikes.push(strike);
  }

  /** The worker that hangs has these connections, now that it takes no more. */
  hangsWith(ports: readonly number[]): void {
    if (this.#hanging !== undefined) this.#hanging = { ...this.#hanging, ports: new Set(ports) };
  }

  /** The worker that hung goes on: nothing may be lost with it. */
  goesOn(): void {
    this.#hanging = undefined;
  }

  /** Whether a connection, lost just now, was a victim's. */
  explainsLoss(localPort: number): boolean {
    return this.#within(NOTICE_MS).some(({ ports }) => ports.has(localPort));
  }

  /**
   * Whether a client may be told just now that its server stops: its worker was asked to end, or must be
   * the one that was, since it greeted the client after it had been.
   */
  explainsFarewell(localPort: number, greetedMs: number): boolean {
    return this.#within(NOTICE_MS)
      .some(({ how, ports }) => how === "asked" && ports.has(localPort)) ||
      this.#within(AFTERMATH_MS).some(({ how, atMs }) => how === "asked" && greetedMs >= atMs);
  }

  /**
   * Whether a client may be told just now, in place of a greeting, that its server stops: it came to a
   * worker that was asked to end.
   */
  get explainsRefusal(): boolean {
    return this.#within(AFTERMATH_MS).some(({ how }) => how === "asked");
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
    return this.#within(AFTERMATH_MS).length > 0;
  }

  #within(ms: number): readonly Strike[] {
    const nowMs = this.#nowMs();
    const strikes = this.#strikes.filter(({ atMs }) => nowMs - atMs < ms);
    return this.#hanging === undefined ? strikes : [...strikes, this.#hanging];
  }

  /**
   * Whether a worker was made to end between two moments, or hung before it was and may not have caught
   * up with what it had accepted.
   */
  hasOneBetween(fromMs: number, toMs: number): boolean {
    if (this.#hanging !== undefined && this.#hanging.atMs <= toMs) return true;
    return this.#spans.some((span) => span.toMs >= fromMs && span.fromMs <= toMs);
  }

  #unservedSinceMs(pid: number): number {
    const nowMs = this.#nowMs();
    const { pid: hungPid, atMs } = this.#hung;
    return hungPid === pid && nowMs - atMs < CATCH_UP_MS ? atMs : nowMs;
  }
}
