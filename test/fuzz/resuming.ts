/**
 * Plays clients that come and go to linked servers that die and join, and holds what each client gets against
 * what each server has really accepted.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Limits } from "../../server/limits.ts";
import { MemoryBed } from "../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";
import { checkPlay } from "./resuming_checks.ts";
import {
  Client,
  FrameReader,
  type PlayClock,
  type Process,
  type ProcessEnd,
  TOPICS,
  Witness,
} from "./resuming_clients.ts";

/** What happens next. Numbers choose among what there is, whatever their size. */
export type Step =
  | { readonly does: "publish"; readonly process: number; readonly topic: number }
  | { readonly does: "turn" | "settle" | "pass" | "join" | "wake" }
  /** Ends a process: at once, or when all has been said, or before. */
  | { readonly does: ProcessEnd["how"] }
  /** Comes to a process, or comes back to one, with its position. */
  | { readonly does: "come"; readonly client: number; readonly process: number }
  | { readonly does: "cut" | "stall" | "flow"; readonly client: number }
  | { readonly does: "take"; readonly client: number; readonly bytes: number }
  | { readonly does: "resubscribe"; readonly client: number; readonly topic: number }
  | { readonly does: "leave"; readonly client: number; readonly topic: number }
  | {
    readonly does: "last";
    readonly client: number;
    readonly topic: number;
    readonly count: number;
  }
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
  /** Little makes clients read from their topics' logs. */
  readonly softPendingBytes: number;
  readonly historyMessages: number;
  readonly historyMs: number;
  readonly writesPerTurn: number;
  readonly answers: "at once" | "late";
  readonly steps: readonly Step[];
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
  readonly #clock: PlayClock = { nowMs: 0, events: 0 };
  readonly #lies: { readonly reader: FrameReader; readonly peer: MemoryPeer }[] = [];
  #next = 1;
  #joined = 0;

  constructor(script: Play) {
    this.#script = script;
    const { historyMessages, historyMs, softPendingBytes } = script;
    // Nobody is closed for the time it takes.
    const longMs = 3_600_000;
    const patience = {
      pingAfterMs: longMs,
      idleMs: longMs,
      writeDeadlineMs: longMs,
      softPendingMs: longMs,
    };
    this.#limits = { historyMessages, historyMs, softPendingBytes, ...patience };
    this.#clients = Array.from({ length: script.clients }, () => new Client(this.#clock));
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
      client.complete();
    }
    const { historyMessages, historyMs } = this.#script;
    const [all, alive, clients] = [this.#all, this.#alive, this.#clients];
    checkPlay({ all, alive, clients, historyMessages, historyMs });
    this.#checkLies();
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
      end: undefined,
    };
    this.#alive.push(process);
    this.#all.push(process);
  }

  #settle(): void {
    this.#alive[0]!.bed.net.settle();
    const hang = this.#alive.some(({ bed }) => bed.hangs);
    for (const { end } of this.#all) {
      if (end?.knownFrom === Infinity && !hang) end.knownFrom = this.#clock.events++;
    }
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
        this.#clock.nowMs += 500;
        return;
      case "killed":
      case "retired":
      case "hurried":
        this.#wake();
        return this.#end(step.does);
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
        return client.come(this.#one(step.process), this.#script.bufferBytes);
      }
    }
    const client = this.#clients[step.client % this.#clients.length]!;
    if (step.does === "cut") client.cut();
    else if (step.does === "take") client.peer?.take(step.bytes);
    else if (step.does === "resubscribe" || step.does === "leave" || step.does === "last") {
      const topic = TOPICS[step.topic % TOPICS.length]!;
      if (step.does === "leave") client.leave(topic);
      else client.subscribe(topic, step.does === "last" ? step.count : undefined);
    } else client.peer?.[step.does]();
  }

  #publish(process: Process, topic: string): void {
    const n = this.#next++;
    process.sent.push({ topic, n, atMs: this.#clock.nowMs });
    process.publisher.send(`PUBLISH\0{"topic":"${topic}","data":${n}}\0`);
  }

  #end(how: ProcessEnd["how"]): void {
    if (this.#alive.length < 2) return;
    const [dead] = this.#alive.splice(this.#next % this.#alive.length, 1);
    // One that hangs doesn't hear what the others hear.
    const deaf = this.#one(this.#next >> 1);
    deaf.bed.hangs = how === "hurried";
    // What has arrived there is read first, as a process does that ends in order.
    if (how !== "killed") {
      this.#settle();
      dead!.bed.server.mesh!.sayGoodbye();
    }
    if (how === "retired") this.#settle();
    if (how === "hurried") { for (let i = this.#next % 4; i > 0; i--) dead!.bed.net.turn(); }
    dead!.witness.look();
    dead!.bed.kill();
    const micros = Date.now() * 1000 + 2_000_000;
    for (const client of this.#clients) if (client.process === dead) client.cut();
    for (const { bed } of this.#alive) {
      bed.server.mesh!.unlink(dead!.path, { isClean: how !== "killed", micros });
    }
    deaf.bed.hangs = false;
    dead!.end = { how, micros, knownFrom: Infinity };
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
      if (round % 20 === 19) {
        for (const { bed } of this.#alive) bed.pass(250);
        this.#clock.nowMs += 250;
      }
      await Promise.resolve();
    }
    this.#settle();
    this.#enter(path, bed, this.#alive[0]);
  }

  #lie(process: Process): void {
    const peer = process.bed.dial();
    // Of origins that nobody has heard of, and of what real ones may accept in ten minutes.
    const [known] = Object.keys(this.#clients.flatMap(({ stints }) => stints)[0]?.resume.at ?? {});
    const at = this.#next % 3 === 0
      ? { "00000000000000ff": 1 }
      : { [known ?? "ffffffffffffff00"]: (Date.now() + 600_000) * 1000 };
    peer.send(`{"action":"subscribe","data":"a","resume":{"at":${JSON.stringify(at)}}}\0`);
    this.#lies.push({ reader: new FrameReader(peer), peer });
  }

  #checkLies(): void {
    for (const { reader } of this.#lies) {
      const answers = reader.next().flatMap((frame) =>
        frame.includes('"resume"') ? [JSON.parse(frame).resume.reason] : []
      );
      for (const reason of answers) assertEquals(reason, "unknown_origin");
    }
  }
}
