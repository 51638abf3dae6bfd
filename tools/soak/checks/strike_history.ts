/** How long after a strike a connection may have been the victim's that wasn't among those it had. */
const AFTERMATH_MS = 5_000;

/**
 * How long after a strike the end of a connection that the victim had may be noticed: on a busy machine a
 * process takes long to end, and this one to hear of it.
 */
const NOTICE_MS = 30_000;

/** How long after a change of certificate a connection may have been in a socket that was relieved. */
const RENEWAL_AFTERMATH_MS = 1_000;

/** How long a worker may take to see that it gets descriptors again: a sweep or two, on a busy machine. */
const SHORTAGE_AFTERMATH_MS = 10_000;

/** From the end of a hang to when a worker has done all that piled up, on a busy machine. */
const CATCH_UP_MS = 10_000;

/** What can happen to a server's workers, as reports name it. */
export const STRIKES = [
  /** By SIGKILL. */
  "killed",
  /** By SIGTERM, upon which a worker says goodbye to each client. */
  "asked",
  /**
   * Stopped for some time, after which a worker goes on as if nothing had been, unless the server has
   * killed it meanwhile: then it's counted as killed too.
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
  /** It gets one that it can't use. */
  "misrenewed",
] as const;

export type Strike = typeof STRIKES[number];

/** What happened to a worker, or to all of them. */
export interface Kill {
  /** Seconds from the command's beginning. */
  readonly at_s: number;
  /** The worker's, or the server's own where it happened to all. */
  readonly pid: number;
  readonly how: Strike;
  /** The connections it had, of all clients. */
  readonly connections: number;
}

/** What makes clients lose their connections. */
interface Blow {
  readonly how: Strike;
  readonly fromMs: number;
  /** `Infinity` while it goes on. */
  toMs: number;
  /** The clients' ports of the connections that were there. */
  readonly ports: ReadonlySet<number>;
}

/**
 * Which connections went with a worker that was made to end, so that no other loss is excused. Strikes
 * that end no worker excuse nothing, but that one is short of descriptors, and says so.
 */
export class Kills {
  readonly kills: Kill[] = [];
  readonly #blows: Blow[] = [];
  readonly #spans: { readonly fromMs: number; toMs: number }[] = [];
  #hung = { pid: 0, fromMs: -Infinity, toMs: -Infinity };
  /** The worker that hangs, or did so lately that the server may be about to kill it. */
  #hanging: Blow | undefined;
  /** The roll that goes on. */
  #rolling: Blow | undefined;
  readonly #shortages: Blow[] = [];
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
    this.note(kill);
    const nowMs = this.#nowMs();
    const blow = { how: kill.how, fromMs: nowMs, toMs: nowMs, ports: new Set(ports) };
    if (kill.how === "hung") {
      this.#hung = { pid: kill.pid, fromMs: nowMs, toMs: Infinity };
      this.#hanging = blow;
      return;
    }
    this.#hanging = undefined;
    this.#spans.push({ fromMs: this.#unservedSinceMs(kill.pid), toMs: nowMs });
    this.#blows.push(blow);
  }

  /** Something happens that costs no client anything. */
  note(kill: Kill): void {
    this.kills.push(kill);
  }

  /**
   * All workers are about to be replaced.
   *
   * @param ports The clients' ports of all connections that there were at some moment from `fromMs` on.
   */
  addRoll(kill: Kill, ports: readonly number[], fromMs: number): void {
    this.note(kill);
    this.#rolling = { how: "rolled", fromMs, toMs: Infinity, ports: new Set(ports) };
    this.#blows.push(this.#rolling);
    this.#spans.push(this.#rolling);
  }

  /**
   * A worker is about to get no further descriptor, until {@linkcode endShortage}.
   *
   * @param ports The clients' ports of its connections at some moment from `fromMs` on.
   */
  addShortage(ports: readonly number[], fromMs: number): void {
    this.#shortages.push({ how: "exhausted", fromMs, toMs: Infinity, ports: new Set(ports) });
  }

  /** It gets some again. */
  endShortage(): void {
    const last = this.#shortages.at(-1);
    if (last !== undefined) last.toMs = this.#nowMs();
  }

  /**
   * Whether a client may be told just now that there is no room: its worker is short of descriptors, or
   * may be the one that is, since it isn't greeted yet or was since then.
   *
   * @param greetedMs `null` where it isn't.
   */
  explainsNoRoom(localPort: number, greetedMs: number | null): boolean {
    const nowMs = this.#nowMs();
    return this.#shortages.some(({ fromMs, toMs, ports }) => {
      return nowMs - toMs < SHORTAGE_AFTERMATH_MS &&
        (greetedMs === null || greetedMs >= fromMs || ports.has(localPort));
    });
  }

  /** All are replaced. */
  endRoll(): void {
    if (this.#rolling !== undefined) this.#rolling.toMs = this.#nowMs();
    this.#rolling = undefined;
  }

  /** The worker that hangs has these connections, now that it takes no more. */
  hangsWith(ports: readonly number[]): void {
    if (this.#hanging !== undefined) this.#hanging = { ...this.#hanging, ports: new Set(ports) };
  }

  /** The worker that hung goes on: nothing may be lost with it. */
  goesOn(): void {
    this.#hanging = undefined;
    this.#hung.toMs = this.#nowMs();
  }

  /**
   * Whether a connection, lost just now, was a victim's. Workers that are replaced say goodbye first: that
   * a client wasn't told is no part of a roll.
   */
  explainsLoss(localPort: number): boolean {
    return this.#within(NOTICE_MS).some(({ how, ports }) => {
      return how !== "rolled" && ports.has(localPort);
    });
  }

  /**
   * Whether a client may be told just now that its server stops: its worker was asked to end, or must be
   * one that was, since it greeted the client after it had been.
   */
  explainsFarewell(localPort: number, greetedMs: number): boolean {
    return this.#within(NOTICE_MS)
      .some((blow) => saysGoodbye(blow) && blow.ports.has(localPort)) ||
      this.#within(AFTERMATH_MS).some((blow) => saysGoodbye(blow) && greetedMs >= blow.fromMs);
  }

  /**
   * Whether a client may be told just now, in place of a greeting, that its server stops: it came to a
   * worker that was asked to end.
   */
  get explainsRefusal(): boolean {
    return this.#within(AFTERMATH_MS).some(saysGoodbye);
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

  #within(ms: number): readonly Blow[] {
    const nowMs = this.#nowMs();
    const blows = this.#blows.filter(({ toMs }) => nowMs - toMs < ms);
    return this.#hanging === undefined ? blows : [...blows, this.#hanging];
  }

  /**
   * Whether a client that came with one message, and doesn't read, may have come in vain between two
   * moments: a worker was made to end, or hung before it was and may not have caught up with what it had
   * accepted; or one had no room for it.
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

/** Whether workers tell their clients that they end. */
function saysGoodbye({ how }: Blow): boolean {
  return how === "asked" || how === "rolled";
}
