/**
 * Milliseconds after a strike during which a connection may have been the victim's though it wasn't in
 * its list.
 */
const AFTERMATH_MS = 5_000;

/**
 * Milliseconds after a strike until this process has noticed the end of the victim's connections. On a
 * busy machine a process takes long to end.
 */
const NOTICE_MS = 30_000;

/**
 * Milliseconds for which a worker may not have heard a client yet that it has greeted, on a busy machine. One that ends
 * takes such a client for one of 2009's, and closes it without a word.
 */
const UNHEARD_MS = 2_000;

/**
 * Milliseconds after a change of certificate during which a connection may have waited at the replaced
 * socket.
 */
const RENEWAL_AFTERMATH_MS = 1_000;

/**
 * Milliseconds for a worker to notice that it gets descriptors again: a sweep or two, on a busy machine.
 */
const SHORTAGE_AFTERMATH_MS = 10_000;

/** Milliseconds after a hang until a worker has handled all that piled up, on a busy machine. */
const CATCH_UP_MS = 10_000;

/** The strikes against a server and its workers, with their names in reports. */
export const STRIKES = [
  /** A worker is ended by SIGKILL. */
  "killed",
  /** A worker is ended by SIGTERM, after which it says goodbye to each client. */
  "asked",
  /**
   * A worker is stopped for some time and then goes on as if nothing had happened. If the server kills it
   * meanwhile, it's counted as killed too.
   */
  "hung",
  /** All workers are replaced, one after the other, upon SIGUSR2; each says goodbye to its clients. */
  "rolled",
  /** A worker gets no further descriptor for some time. */
  "exhausted",
  /** All links that others have dialled to a worker are cut. */
  "cut",
  /** The server gets another certificate, and SIGHUP. */
  "renewed",
  /** The server gets an unusable certificate. */
  "misrenewed",
  /** A member of a cluster is ended by SIGKILL, with all its workers, and started again. */
  "member_killed",
  /** The NATS that joins a cluster is ended by SIGKILL, and started again after a while. */
  "nats_restarted",
] as const;

/** The strikes that only a cluster can have. */
export const CLUSTER_STRIKES: readonly Strike[] = ["member_killed", "nats_restarted"];

export type Strike = typeof STRIKES[number];

/** The record of one strike. */
export interface StrikeRecord {
  /** Seconds from the command's beginning. */
  readonly at_s: number;
  /** The worker's process ID, or the server's if the strike met all workers. */
  readonly pid: number;
  readonly how: Strike;
  /** The number of connections that the victim had, of all clients. */
  readonly connections: number;
}

/** Workers that say goodbye to their clients. */
export interface Goodbye {
  /** Adds clients' ports of connections that the workers have accepted meanwhile. */
  addPorts(ports: readonly number[]): void;
  /** To be called when the workers' processes are gone. */
  end(): void;
}

/** A strike that makes clients lose their connections. */
interface LossCause {
  readonly how: Strike;
  readonly fromMs: number;
  /** `Infinity` while the strike goes on. */
  toMs: number;
  /** The clients' ports of the victim's connections. */
  readonly ports: ReadonlySet<number>;
}

/**
 * Records strikes, and decides which lost connections they explain, so that no other loss is excused.
 * Strikes that end no worker explain no loss. Only a worker without descriptors may refuse clients, and
 * must say so.
 */
export class StrikeHistory {
  readonly records: StrikeRecord[] = [];
  readonly #causes: LossCause[] = [];
  readonly #spans: { readonly fromMs: number; toMs: number }[] = [];
  #hung = { pid: 0, fromMs: -Infinity, toMs: -Infinity };
  /** The worker that hangs or stands still, or hung so recently that the server may still kill it. */
  #hanging: LossCause | undefined;
  readonly #shortages: LossCause[] = [];
  readonly #nowMs: () => number;
  #renewedMs = -Infinity;

  /** @param nowMs A monotonic clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** How often each strike has happened. */
  get counts(): Record<Strike, number> {
    const count = (strike: Strike) => this.records.filter(({ how }) => how === strike).length;
    return Object.fromEntries(STRIKES.map((strike) => [strike, count(strike)])) as Record<
      Strike,
      number
    >;
  }

  /**
   * Notes that a worker is about to be killed, or hangs.
   *
   * @param ports The clients' ports of its connections.
   */
  add(strike: StrikeRecord, ports: readonly number[]): void {
    this.note(strike);
    const nowMs = this.#nowMs();
    const cause = { how: strike.how, fromMs: nowMs, toMs: nowMs, ports: new Set(ports) };
    if (strike.how === "hung") {
      this.#hung = { pid: strike.pid, fromMs: nowMs, toMs: Infinity };
      this.#hanging = cause;
      return;
    }
    this.#hanging = undefined;
    this.#spans.push({ fromMs: this.#unservedSinceMs(strike.pid), toMs: nowMs });
    this.#causes.push(cause);
  }

  /**
   * Notes that a whole server is about to be killed. Until the returned function is called, when it serves
   * again, clients may be refused.
   *
   * @param ports The clients' ports of all its connections.
   * @param fromMs When its processes were stopped: what they had been sent and hadn't read is lost with them.
   */
  addOutage(strike: StrikeRecord, ports: readonly number[], fromMs: number): () => void {
    this.note(strike);
    const cause = { how: strike.how, fromMs, toMs: Infinity, ports: new Set(ports) };
    const span = { fromMs, toMs: Infinity };
    this.#causes.push(cause);
    this.#spans.push(span);
    return () => cause.toMs = span.toMs = this.#nowMs();
  }

  /** Notes a strike that costs no client its connection. */
  note(strike: StrikeRecord): void {
    this.records.push(strike);
  }

  /**
   * Notes that workers are about to be asked to end, one or all of them. They say goodbye to their clients
   * until that has ended, when their processes are gone.
   *
   * @param ports The clients' ports of all their connections that existed at some moment since `fromMs`.
   */
  addGoodbye(strike: StrikeRecord, ports: readonly number[], fromMs: number): Goodbye {
    this.note(strike);
    if (strike.how === "asked") this.#hanging = undefined;
    const known = new Set(ports);
    const cause = { how: strike.how, fromMs, toMs: Infinity, ports: known };
    const span = { fromMs: Math.min(fromMs, this.#unservedSinceMs(strike.pid)), toMs: Infinity };
    this.#causes.push(cause);
    this.#spans.push(span);
    return {
      addPorts: (ports) => ports.forEach((port) => known.add(port)),
      end: () => cause.toMs = span.toMs = this.#nowMs(),
    };
  }

  /**
   * Notes that a worker gets no further descriptors until {@linkcode endShortage}.
   *
   * @param ports The clients' ports of its connections at some moment since `fromMs`.
   */
  addShortage(ports: readonly number[], fromMs: number): void {
    this.#shortages.push({ how: "exhausted", fromMs, toMs: Infinity, ports: new Set(ports) });
  }

  /** Notes that the worker gets descriptors again. */
  endShortage(): void {
    const last = this.#shortages.at(-1);
    if (last !== undefined) last.toMs = this.#nowMs();
  }

  /**
   * True if a client may be refused now because there is no room: its worker has no descriptors, or may
   * be the one without, since the client isn't greeted yet or was greeted since then.
   *
   * @param greetedMs The moment of the greeting; `null` without one.
   */
  explainsNoRoom(localPort: number, greetedMs: number | null): boolean {
    const nowMs = this.#nowMs();
    return this.#shortages.some(({ fromMs, toMs, ports }) => {
      return nowMs - toMs < SHORTAGE_AFTERMATH_MS &&
        (greetedMs === null || greetedMs >= fromMs || ports.has(localPort));
    });
  }

  /**
   * Notes that a worker stands still until the strike that is noted next, which ends it.
   *
   * @param ports The clients' ports of its connections.
   */
  standsStill(pid: number, ports: readonly number[]): void {
    const nowMs = this.#nowMs();
    this.#hung = { pid, fromMs: this.#unservedSinceMs(pid), toMs: Infinity };
    this.#hanging = { how: "hung", fromMs: nowMs, toMs: nowMs, ports: new Set(ports) };
  }

  /** Sets the connections of the hanging worker, which accepts no more. */
  hangsWith(ports: readonly number[]): void {
    if (this.#hanging !== undefined) this.#hanging = { ...this.#hanging, ports: new Set(ports) };
  }

  /** Notes that the hanging worker goes on. From now on no loss is excused by it. */
  goesOn(): void {
    this.#hanging = undefined;
    this.#hung.toMs = this.#nowMs();
  }

  /**
   * True if a connection that was lost just now was a victim's, or one that a worker which was asked to end had
   * greeted and not heard yet. Workers that are replaced say goodbye first, so a roll doesn't explain a loss without a
   * word.
   *
   * @param greetedMs The moment of the greeting.
   */
  explainsLoss(localPort: number, greetedMs: number): boolean {
    const isYoung = this.#nowMs() - greetedMs < UNHEARD_MS;
    return this.#within(NOTICE_MS).some(({ how, ports }) => {
      return how !== "rolled" && ports.has(localPort);
    }) || isYoung && this.#within(AFTERMATH_MS).some(({ how, fromMs }) => {
          return how === "asked" && greetedMs >= fromMs;
        });
  }

  /**
   * True if a client may be told now that its server stops: its worker was asked to end, or must be one
   * that was, since it greeted the client after that.
   */
  explainsGoodbye(localPort: number, greetedMs: number): boolean {
    return this.#within(NOTICE_MS)
      .some((cause) => saysGoodbye(cause) && cause.ports.has(localPort)) ||
      this.#within(AFTERMATH_MS).some((cause) => saysGoodbye(cause) && greetedMs >= cause.fromMs);
  }

  /**
   * True if a client may be told now, in place of a greeting, that its server stops: it connected to a
   * worker that was asked to end.
   */
  get explainsRefusal(): boolean {
    return this.#within(AFTERMATH_MS).some(saysGoodbye);
  }

  /**
   * Notes that the server changes its certificate, and resets connections that it hasn't accepted yet.
   */
  addRenewal(): void {
    this.#renewedMs = this.#nowMs();
  }

  /** True if a connection that wasn't accepted yet may be lost now. */
  get explainsNoGreeting(): boolean {
    return this.isRecent || this.#nowMs() - this.#renewedMs < RENEWAL_AFTERMATH_MS;
  }

  /**
   * True if a connection that isn't greeted may be lost that set out at a moment, however late this process notices.
   */
  explainsNoGreetingSince(setOutMs: number): boolean {
    return this.explainsNoGreeting ||
      this.#causes.some(({ toMs }) => setOutMs - toMs < AFTERMATH_MS);
  }

  /** True if a worker was ended so recently that connections may have waited there unaccepted. */
  get isRecent(): boolean {
    return this.#within(AFTERMATH_MS).length > 0;
  }

  #within(ms: number): readonly LossCause[] {
    const nowMs = this.#nowMs();
    const causes = this.#causes.filter(({ toMs }) => nowMs - toMs < ms);
    return this.#hanging === undefined ? causes : [...causes, this.#hanging];
  }

  /**
   * True if a client that sent one message and didn't read may have done so in vain between two moments:
   * a worker was ended, or hung before that and may not have caught up with what it had accepted, or had
   * no room for the client.
   */
  hasOneBetween(fromMs: number, toMs: number): boolean {
    if (this.#hanging !== undefined && this.#hanging.fromMs <= toMs) return true;
    return this.#spans.some((span) => span.toMs >= fromMs && span.fromMs <= toMs) ||
      this.#shortages.some((shortage) => {
        return shortage.toMs + SHORTAGE_AFTERMATH_MS >= fromMs && shortage.fromMs <= toMs;
      });
  }

  #unservedSinceMs(pid: number): number {
    const nowMs = this.#nowMs();
    const { pid: hungPid, fromMs, toMs } = this.#hung;
    return hungPid === pid && nowMs - toMs < CATCH_UP_MS ? fromMs : nowMs;
  }
}

/** True for strikes after which workers say goodbye to their clients. */
function saysGoodbye({ how }: LossCause): boolean {
  return how === "asked" || how === "rolled";
}
