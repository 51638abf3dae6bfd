/**
 * Plays clients that come and go to linked servers that die and join, and holds what each client gets against
 * what each server has really accepted.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Limits } from "../../server/limits.ts";
import { Positions, type Resume } from "../support/clients/resuming_client.ts";
import { MemoryBed } from "../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";

/** What happens next. Numbers choose among what there is, whatever their size. */
export type Step =
  | { readonly does: "publish"; readonly process: number; readonly topic: number }
  | { readonly does: "turn" | "settle" | "pass" | "kill" | "join" | "wake" }
  /** Comes to a process, or comes back to one, with its position. */
  | { readonly does: "come"; readonly client: number; readonly process: number }
  | { readonly does: "cut" | "stall" | "flow"; readonly client: number }
  | { readonly does: "take"; readonly client: number; readonly bytes: number }
  | { readonly does: "resubscribe"; readonly client: number; readonly topic: number }
  | { readonly does: "leave"; readonly client: number; readonly topic: number }
  /** Stops a process for a while, so that what is sent to it comes late. */
  | { readonly does: "hang"; readonly process: number }
  /** Says a position that nobody has had. */
  | { readonly does: "lie"; readonly process: number };

/** What happens to the servers. */
export interface Play {
  readonly processes: number;
  readonly clients: number;
  readonly bufferBytes: number;
  /** What fits between a publisher or a process and another process: little makes slow links. */
  readonly linkBytes: number;
  readonly historyMessages: number;
  readonly writesPerTurn: number;
  readonly answers: "at once" | "late";
  readonly steps: readonly Step[];
}

const TOPICS = ["a", "b"];

/** A message, as a witness on some server saw it. */
interface Seen {
  readonly n: number;
  readonly micros: number;
}

/** One process with its publisher, and a witness that is subscribed to everything from the start. */
interface Process {
  readonly path: string;
  readonly bed: MemoryBed;
  readonly publisher: MemoryPeer;
  readonly witness: Witness;
  /** The numbers of what it was sent, by topic, in order. */
  readonly sent: { readonly topic: string; readonly n: number }[];
  /** True if it has joined the others later: what it has copied is in an order of its own. */
  readonly hasJoined: boolean;
  origin: string | undefined;
  deathMicros: number | undefined;
}

/** What one client got of a topic since it subscribed. */
interface Stint {
  readonly topic: string;
  readonly process: Process;
  readonly resume: Resume;
  /** Its position before. */
  readonly before: Readonly<Record<string, number>> | undefined;
  readonly got: { readonly origin: string; readonly micros: number; readonly n: number }[];
  /** True if it was still there in the end, and had read all. */
  isComplete: boolean;
}

/** Reads the frames of a peer, as they come. */
class FrameReader {
  readonly #peer: MemoryPeer;
  #takenBytes = 0;

  constructor(peer: MemoryPeer) {
    this.#peer = peer;
  }

  next(): string[] {
    const { received } = this.#peer;
    const end = received.lastIndexOf(1) + 1;
    if (end <= this.#takenBytes) return [];
    const text = new TextDecoder().decode(received.subarray(this.#takenBytes, end));
    this.#takenBytes = end;
    return text.split("\x01").slice(0, -1);
  }
}

/** Sees all messages in the order of one server. */
class Witness {
  readonly seen: { readonly topic: string; readonly n: number; readonly micros: number }[] = [];
  readonly #reader: FrameReader;

  /** @param source What a server has copied that has joined. */
  constructor(peer: MemoryPeer, source: Witness | undefined) {
    this.#reader = new FrameReader(peer);
    if (source !== undefined) this.seen.push(...source.seen);
  }

  look(): void {
    for (const frame of this.#reader.next()) {
      if (!frame.startsWith('{"timestamp"')) continue;
      const { topic, data, timestamp, token } = JSON.parse(frame);
      if (token !== undefined) continue;
      this.seen.push({ topic, n: data, micros: microsOf(timestamp) });
    }
  }
}

class Client {
  readonly positions = new Positions();
  readonly stints: Stint[] = [];
  readonly #current = new Map<string, Stint>();
  /** The positions that it has said, by topic, and that aren't answered yet. */
  readonly #said = new Map<string, (Readonly<Record<string, number>> | undefined)[]>();
  #reader: FrameReader | undefined;
  peer: MemoryPeer | undefined;
  process: Process | undefined;

  come(process: Process, bufferBytes: number): void {
    this.cut();
    this.process = process;
    this.peer = process.bed.dial({ bufferBytes });
    this.#reader = new FrameReader(this.peer);
    this.positions.reconnect();
    for (const topic of TOPICS) this.subscribe(topic);
  }

  subscribe(topic: string): void {
    if (this.peer === undefined) return;
    // What is on its way comes in front of the answer, which goes back to this position.
    const said = this.#said.get(topic) ?? [];
    said.push(copyOf(this.positions.of(topic)));
    this.#said.set(topic, said);
    this.peer.send(this.positions.subscribe(topic));
  }

  leave(topic: string): void {
    this.peer?.send(`{"action":"unsubscribe","data":"${topic}"}\0`);
  }

  cut(): void {
    this.read();
    this.peer?.reset();
    this.#current.clear();
    this.#said.clear();
    this.peer = this.process = undefined;
  }

  read(): void {
    for (const text of this.#reader?.next() ?? []) {
      const frame = this.positions.take(text);
      if (frame.what === "resume") {
        const { topic } = frame.resume;
        const before = this.#said.get(topic)?.shift();
        const stint: Stint = {
          topic,
          process: this.process!,
          resume: frame.resume,
          before,
          got: [],
          isComplete: false,
        };
        this.#current.set(topic, stint);
        this.stints.push(stint);
      } else if (frame.what === "message") {
        const { topic, origin, micros, data } = frame;
        this.#current.get(topic)?.got.push({ origin, micros, n: data as number });
      }
    }
  }

  /** It has read all that it is to get. */
  complete(isSubscribed: (topic: string) => boolean): void {
    for (const [topic, stint] of this.#current) stint.isComplete = isSubscribed(topic);
  }

  readonly left = new Set<string>();
}

function copyOf<T extends object>(value: T | undefined): T | undefined {
  return value === undefined ? undefined : { ...value };
}

function microsOf([mega, seconds, micros]: [number, number, number]): number {
  return (mega * 1_000_000 + seconds) * 1_000_000 + micros;
}

/** Plays it. @throws {AssertionError} where a client got something else than it must. */
export async function play(script: Play): Promise<void> {
  await new Stage(script).play();
}

class Stage {
  readonly #script: Play;
  readonly #limits: Partial<Limits>;
  readonly #alive: Process[] = [];
  readonly #all: Process[] = [];
  readonly #clients: Client[];
  readonly #lies: { readonly reader: FrameReader; readonly peer: MemoryPeer }[] = [];
  #next = 1;
  #joined = 0;

  constructor(script: Play) {
    this.#script = script;
    const { historyMessages } = script;
    this.#limits = { historyMessages, pingAfterMs: 3_600_000, idleMs: 3_600_000 };
    this.#clients = Array.from({ length: script.clients }, () => new Client());
  }

  async play(): Promise<void> {
    const { processes, writesPerTurn, answers, steps, linkBytes: bufferBytes } = this.#script;
    const options = { writesPerTurn, answers, bufferBytes };
    const beds = await MemoryBed.linked(processes, this.#limits, options);
    beds.forEach((bed, i) => this.#enter(`/${i}`, bed));
    for (const step of steps) {
      await this.#do(step);
      for (const client of this.#clients) client.read();
    }
    this.#wake();
    for (const client of this.#clients) client.peer?.flow();
    // Those that wait for a process's fate learn it, or wait long enough.
    for (let i = 0; i < 3; i++) this.#settle();
    for (const { bed } of this.#alive) bed.pass(6_000);
    this.#settle();
    for (const client of this.#clients) {
      client.read();
      client.complete((topic) => !client.left.has(topic) && client.peer?.ended === false);
    }
    this.#check();
  }

  #enter(path: string, bed: MemoryBed, source?: Process): void {
    const witness = new Witness(bed.subscribed(TOPICS, { bufferBytes: 65_536 }), source?.witness);
    const publisher = bed.dial();
    const process: Process = {
      path,
      bed,
      publisher,
      witness,
      sent: [],
      hasJoined: source !== undefined,
      origin: undefined,
      deathMicros: undefined,
    };
    this.#alive.push(process);
    this.#all.push(process);
  }

  #settle(): void {
    this.#alive[0]!.bed.net.settle();
    for (const { witness } of this.#alive) witness.look();
  }

  #wake(): void {
    for (const { bed } of this.#alive) if (bed.hangs) bed.hangs = false;
  }

  #one(index: number): Process {
    return this.#alive[index % this.#alive.length]!;
  }

  async #do(step: Step): Promise<void> {
    switch (step.does) {
      case "publish":
        return this.#publish(this.#one(step.process), TOPICS[step.topic % TOPICS.length]!);
      case "turn":
        return this.#alive[0]!.bed.net.turn();
      case "settle":
        return this.#settle();
      case "pass":
        this.#wake();
        for (const { bed } of this.#alive) bed.pass(500);
        return;
      case "kill":
        this.#wake();
        return this.#kill();
      case "join":
        this.#wake();
        return await this.#join();
      case "hang":
        this.#one(step.process).bed.hangs = true;
        return;
      case "wake":
        return this.#wake();
      case "lie":
        this.#wake();
        return this.#lie(this.#one(step.process));
      case "come": {
        // A connection to a process that hangs can't be made here.
        if (this.#one(step.process).bed.hangs) this.#wake();
        const client = this.#clients[step.client % this.#clients.length]!;
        client.left.clear();
        return client.come(this.#one(step.process), this.#script.bufferBytes);
      }
    }
    const client = this.#clients[step.client % this.#clients.length]!;
    if (step.does === "cut") client.cut();
    else if (step.does === "take") client.peer?.take(step.bytes);
    else if (step.does === "resubscribe" || step.does === "leave") {
      const topic = TOPICS[step.topic % TOPICS.length]!;
      client.left[step.does === "leave" ? "add" : "delete"](topic);
      if (step.does === "leave") client.leave(topic);
      else client.subscribe(topic);
    } else client.peer?.[step.does]();
  }

  #publish(process: Process, topic: string): void {
    const n = this.#next++;
    process.sent.push({ topic, n });
    process.publisher.send(`PUBLISH\0{"topic":"${topic}","data":${n}}\0`);
  }

  #kill(): void {
    if (this.#alive.length < 2) return;
    const [dead] = this.#alive.splice(this.#next % this.#alive.length, 1);
    dead!.witness.look();
    dead!.bed.kill();
    dead!.deathMicros = Date.now() * 1000 + 2_000_000;
    for (const client of this.#clients) if (client.process === dead) client.cut();
    for (const { bed } of this.#alive) {
      bed.server.mesh!.unlink(dead!.path, { isClean: false, micros: dead!.deathMicros });
    }
  }

  async #join(): Promise<void> {
    if (this.#alive.length > 3) return;
    const path = `/joined-${this.#joined++}`;
    const others = new Map(this.#alive.map(({ path, bed }) => [path, bed]));
    const { bed, copied } = await MemoryBed.joining(path, others, this.#limits);
    let isDone = false;
    copied.then(() => isDone = true);
    for (let round = 0; !isDone; round++) {
      assert(round < 10_000, "the history never came");
      // Messages go on while the history is copied.
      this.#publish(this.#one(round), TOPICS[round % 2]!);
      for (let turn = 0; turn < 3; turn++) bed.net.turn();
      if (round % 20 === 19) { for (const { bed } of this.#alive) bed.pass(250); }
      await Promise.resolve();
    }
    this.#settle();
    this.#enter(path, bed, this.#alive[0]);
  }

  #lie(process: Process): void {
    const peer = process.bed.dial();
    const at = this.#next % 2 === 0 ? { "00000000000000ff": 1 } : { "ffffffffffffff00": 2 };
    peer.send(`{"action":"subscribe","data":"a","resume":{"at":${JSON.stringify(at)}}}\0`);
    this.#lies.push({ reader: new FrameReader(peer), peer });
  }

  #check(): void {
    // What each process has accepted is what any witness saw of it; nobody saw what died with it.
    const ownerOf = new Map<number, Process>();
    for (const process of this.#all) for (const { n } of process.sent) ownerOf.set(n, process);
    const accepted = new Map<number, { readonly topic: string; readonly micros: number }>();
    for (const { witness } of this.#all) {
      for (const { n, topic, micros } of witness.seen) {
        assertEquals(accepted.get(n)?.micros ?? micros, micros, `${n} has two timestamps`);
        accepted.set(n, { topic, micros });
      }
    }
    for (const client of this.#clients) {
      for (const { got } of client.stints) {
        for (const { n, origin } of got) {
          const owner = ownerOf.get(n)!;
          assertEquals(owner.origin ??= origin, origin, `${n} is from another origin`);
        }
      }
    }
    const byOrigin = new Map<string, (topic: string) => Seen[]>();
    for (const process of this.#all) {
      if (process.origin === undefined) continue;
      byOrigin.set(process.origin, (topic) =>
        process.sent.flatMap(({ n, topic: of }) => {
          const micros = accepted.get(n)?.micros;
          return of === topic && micros !== undefined ? [{ n, micros }] : [];
        }));
    }
    for (const client of this.#clients) {
      for (const stint of client.stints) this.#checkStint(stint, byOrigin);
    }
    for (const { reader } of this.#lies) {
      const answers = reader.next().flatMap((frame) =>
        frame.includes('"resume"') ? [JSON.parse(frame).resume.reason] : []
      );
      for (const reason of answers) assertEquals(reason, "unknown_origin");
    }
  }

  #checkStint(stint: Stint, byOrigin: ReadonlyMap<string, (topic: string) => Seen[]>): void {
    const { topic, resume, before, got, process } = stint;
    const told = () => JSON.stringify({ topic, resume, before, got });
    assertEquals(resume.recovered, resume.reason === "ok", told());
    assertEquals(resume.reason === "new", before === undefined, told());
    if (resume.reason !== "ok") assertEquals(resume.missed, 0, told());
    assert(["new", "ok", "too_old"].includes(resume.reason), told());
    const survivors = this.#alive.includes(process) ? process.witness.seen : undefined;
    for (const [origin, messagesOn] of byOrigin) {
      const all = messagesOn(topic);
      const at = resume.at[origin] ?? -1;
      const had = before?.[origin] ?? -1;
      // Nothing is skipped, and nothing comes again.
      if (resume.reason === "ok") {
        // What a dead process hadn't forwarded to this one died with it.
        const isLost = this.#all.find((one) => one.origin === origin)?.deathMicros !== undefined;
        const between = all.filter(({ n, micros }) =>
          micros > Math.min(at, had) && micros <= Math.max(at, had) &&
          (!isLost || (survivors?.some((one) => one.n === n) ?? false))
        );
        assertEquals(between, [], `between ${had} and ${at} of ${origin}: ${told()}`);
      }
      const due = all.filter(({ micros }) => micros > at);
      const came = got.filter((one) => one.origin === origin);
      assertEquals(
        came.map(({ n, micros }) => ({ n, micros })),
        due.slice(0, came.length),
        `of ${origin}: ${told()}`,
      );
      if (!stint.isComplete || survivors === undefined) continue;
      // This server may never have had what another one sent last before it died.
      const here = due.filter(({ n }) => survivors.some((one) => one.n === n));
      assertEquals(came.length, here.length, `of ${origin} came: ${told()}`);
    }
    if (resume.reason === "too_old" && survivors !== undefined && !process.hasJoined) {
      const order = survivors.filter((one) => one.topic === topic);
      const stored = new Set(order.slice(-this.#script.historyMessages).map(({ n }) => n));
      const isGone = [...byOrigin].some(([origin, messagesOn]) =>
        messagesOn(topic).some(({ n, micros }) =>
          micros > (before?.[origin] ?? -1) && !stored.has(n)
        )
      );
      assert(isGone, `all of it is stored: ${told()}`);
    }
    for (const origin of resume.crashed ?? []) {
      const dead = this.#all.find((one) => one.origin === origin);
      // Nothing of it may have come to any client.
      assert(dead === undefined || dead.deathMicros !== undefined, `${origin} lives: ${told()}`);
    }
    if (resume.reason !== "ok") return;
    for (const { origin, deathMicros } of this.#all) {
      if (origin === undefined || deathMicros === undefined) continue;
      if (resume.crashed?.includes(origin)) assert((before?.[origin] ?? -1) < deathMicros, told());
    }
  }
}
