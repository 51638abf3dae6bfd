/**
 * What clients that come back must get, by what the processes of a server have really accepted.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client, Closing, Process, Stint } from "./resuming_clients.ts";

/** What is known of a play when it is over. */
export interface Play {
  readonly all: readonly Process[];
  readonly alive: readonly Process[];
  readonly clients: readonly Client[];
  readonly historyMessages: number;
  readonly historyMs: number;
}

/** A message, as a witness on some server saw it. */
interface Seen {
  readonly n: number;
  readonly micros: number;
}

/** Milliseconds by which a message may have been stored later than it was sent. */
const STORED_LATER_MS = 1_000;

/** Messages at most that are stored already and that the witness has yet to get. */
const UNSEEN = 12;

/** Holds all that clients got against what was accepted. @throws {AssertionError} */
export function checkPlay(play: Play): void {
  new Checks(play).check();
}

class Checks {
  readonly #play: Play;
  readonly #sentAtMs = new Map<number, number>();
  /** Of each origin the messages of a topic that it accepted, as far as anybody knows. */
  readonly #byOrigin = new Map<string, (topic: string) => Seen[]>();
  readonly #processes = new Map<string, Process>();
  readonly #accepted = new Map<number, { readonly topic: string; readonly micros: number }>();

  constructor(play: Play) {
    this.#play = play;
  }

  check(): void {
    this.#learn();
    for (const { stints, closings } of this.#play.clients) {
      for (const stint of stints) {
        this.#checkReason(stint);
        this.#checkMessages(stint);
        this.#checkMissed(stint);
        if (stint.last !== undefined) this.#checkLast(stint, stint.last);
        this.#checkCrashed(stint);
      }
      for (const closing of closings) this.#checkClosing(closing);
    }
  }

  #learn(): void {
    const { all, clients } = this.#play;
    const ownerOf = new Map<number, Process>();
    for (const process of all) {
      for (const { n, atMs } of process.sent) {
        ownerOf.set(n, process);
        this.#sentAtMs.set(n, atMs);
      }
    }
    // What each process has accepted is what any witness saw of it, or a client that was quicker when the process
    // died; nobody saw what died with it.
    const got = clients.flatMap(({ stints }) => stints)
      .flatMap(({ topic, got }) => got.map(({ n, micros }) => ({ n, topic, micros })));
    for (const { n, topic, micros } of [...all.flatMap(({ witness }) => witness.seen), ...got]) {
      const known = this.#accepted.get(n)?.micros ?? micros;
      assertEquals(known, micros, `${n} has two timestamps`);
      this.#accepted.set(n, { topic, micros });
    }
    for (const { stints } of clients) {
      for (const { n, origin } of stints.flatMap(({ got }) => got)) {
        const owner = ownerOf.get(n)!;
        assertEquals(owner.origin ??= origin, origin, `${n} is from another origin`);
      }
    }
    for (const process of all) {
      const { origin } = process;
      if (origin === undefined) continue;
      this.#processes.set(origin, process);
      this.#byOrigin.set(origin, (topic) =>
        process.sent.flatMap(({ n, topic: of }) => {
          const micros = this.#accepted.get(n)?.micros;
          return of === topic && micros !== undefined ? [{ n, micros }] : [];
        }));
    }
  }

  /** Each reason is right, and is the only one that is. */
  #checkReason(stint: Stint): void {
    const { resume: { recovered, reason, missed, topic }, before, process } = stint;
    const told = tell(stint);
    assertEquals(recovered, reason === "ok", told);
    assertEquals(reason === "new", before === undefined, told);
    assert(["new", "ok", "too_old", "gap"].includes(reason), told);
    if (reason === "too_old" || reason === "gap") assertEquals(missed, 0, told);
    if (reason === "gap") {
      const isLost = this.#play.all.some(({ end, origin }) =>
        end?.how === "hurried" &&
        (origin === undefined || (before?.[origin] ?? -1) < end.micros)
      );
      assert(isLost, `no process lost anything: ${told}`);
    }
    if (reason !== "too_old") return;
    const isGone = (n: number, order: readonly number[] | undefined) =>
      this.#mayBeTooOld(n, stint.atMs) ||
      (order !== undefined && order.length - order.indexOf(n) > this.#play.historyMessages);
    const order = this.#orderOn(process, topic);
    const isSure = order !== undefined ||
      this.#acceptedOf(topic) <= this.#play.historyMessages;
    if (!isSure) return;
    const wasGone = [...this.#byOrigin].some(([origin, messagesOn]) =>
      messagesOn(topic).some(({ n, micros }) =>
        micros > (before?.[origin] ?? -1) && (isGone(n, order) || order?.includes(n) === false)
      )
    );
    assert(wasGone, `all of it is stored: ${told}`);
  }

  /** Nothing is skipped, and nothing comes again. */
  #checkMessages(stint: Stint): void {
    const { topic, resume, before, got, process, isComplete, place } = stint;
    const told = tell(stint);
    const survivors = this.#play.alive.includes(process) ? process.witness.seen : undefined;
    const isHere = (n: number) => survivors?.some((one) => one.n === n) ?? false;
    for (const [origin, messagesOn] of this.#byOrigin) {
      const all = messagesOn(topic);
      const at = resume.at[origin] ?? -1;
      const had = before?.[origin] ?? -1;
      // What a process took with it is missing, here or altogether. Under "recovered" only those that crashed
      // may have done so, and others later.
      const { end } = this.#processes.get(origin)!;
      const mustHaveAll = end === undefined || end.how === "retired" ||
        (end.how === "hurried" && place > end.knownFrom && resume.recovered);
      if (resume.reason === "ok") {
        const between = all.filter(({ n, micros }) =>
          micros > Math.min(at, had) && micros <= Math.max(at, had) && (mustHaveAll || isHere(n))
        );
        assertEquals(between, [], `between ${had} and ${at} of ${origin}: ${told}`);
      }
      const due = all.filter(({ micros }) => micros > at);
      const came = got.filter((one) => one.origin === origin)
        .map(({ n, micros }) => ({ n, micros }));
      assertEquals(came, due.slice(0, came.length), `of ${origin}: ${told}`);
      if (!isComplete || survivors === undefined) continue;
      const here = due.filter(({ n }) => mustHaveAll || isHere(n));
      assertEquals(came.length, here.length, `of ${origin} came: ${told}`);
    }
  }

  /** The number is that of the messages which had been accepted when it was said. */
  #checkMissed(stint: Stint): void {
    const { resume: { missed }, got, process, micros, isComplete } = stint;
    const told = tell(stint);
    if (isComplete) assert(got.length >= missed, `fewer than announced: ${told}`);
    got.forEach((one, index) => {
      if (one.origin !== process.origin) return;
      assertEquals(one.micros < micros, index < missed, `${one.n} wasn't counted right: ${told}`);
    });
  }

  /** The newest ones follow that are stored. */
  #checkLast(stint: Stint, last: number): void {
    const { resume: { missed }, got, process, topic } = stint;
    const { historyMessages } = this.#play;
    const told = tell(stint);
    assert(missed <= last, told);
    const order = this.#orderOn(process, topic);
    if (order === undefined || got.length === 0) return;
    const first = order.indexOf(got[0]!.n);
    const stored = got.slice(0, missed).map(({ n }) => n);
    assertEquals(stored, order.slice(first, first + stored.length), told);
    // What waits for its pass is there besides what is stored.
    const isAll = missed === last || missed >= historyMessages || first === 0 ||
      this.#mayBeTooOld(order[first - 1]!, stint.atMs);
    assert(isAll, `more of them are stored: ${told}`);
  }

  /** Those are named that crashed behind the position, had published to the topic, and no others. */
  #checkCrashed(stint: Stint): void {
    const { resume: { reason, crashed = [] }, before, process, topic, place } = stint;
    const told = tell(stint);
    for (const name of crashed) {
      const dead = this.#processes.get(name);
      // Nothing of it may have come to any client.
      if (dead === undefined) continue;
      assertEquals(dead.end?.how, "killed", `${name} hasn't crashed: ${told}`);
      assert((before?.[name] ?? -1) < dead.end!.micros, `${name} was named before: ${told}`);
    }
    if (reason !== "ok") return;
    const order = this.#orderOn(process, topic);
    if (order === undefined) return;
    for (const [name, { end, sent }] of this.#processes) {
      if (end?.how !== "killed" || place < end.knownFrom) continue;
      if ((before?.[name] ?? -1) >= end.micros) continue;
      const hasPublished = sent.some(({ n, topic: of }) => of === topic && order.includes(n));
      if (hasPublished) assert(crashed.includes(name), `${name} has crashed: ${told}`);
    }
  }

  /** Only those are closed of whose messages some aren't stored any more. */
  #checkClosing({ code, message, process, stints, atMs }: Closing): void {
    assertEquals(code, "slow_consumer");
    const isFair = stints.some(({ stint, seen }) => {
      const order = this.#orderOn(process, stint.topic)?.slice(0, seen);
      if (order === undefined) return true;
      const had = new Set(stint.got.map(({ n }) => n));
      const next = order.findIndex((n) => {
        const owner = [...this.#processes.values()].find(({ sent }) => sent.some((s) => s.n === n));
        const at = owner?.origin === undefined ? -1 : stint.resume.at[owner.origin] ?? -1;
        return this.#accepted.get(n)!.micros > at && !had.has(n);
      });
      if (next === -1) return false;
      return seen + UNSEEN - next > this.#play.historyMessages ||
        this.#mayBeTooOld(order[next]!, atMs);
    });
    assert(
      isFair,
      `it is closed though all is stored: ${message}: ${stints.map(({ stint }) => tell(stint))}`,
    );
  }

  /** The numbers of a topic's messages as a process got them; `undefined` if that isn't known. */
  #orderOn(process: Process, topic: string): number[] | undefined {
    if (process.hasJoined || !this.#play.alive.includes(process)) return undefined;
    return process.witness.orderOf(topic);
  }

  #acceptedOf(topic: string): number {
    return [...this.#accepted.values()].filter((one) => one.topic === topic).length;
  }

  #mayBeTooOld(n: number, atMs: number): boolean {
    return atMs - this.#sentAtMs.get(n)! >= this.#play.historyMs - STORED_LATER_MS;
  }
}

function tell({ topic, resume, before, last, got }: Stint): string {
  return JSON.stringify({ topic, resume, before, last, got });
}
