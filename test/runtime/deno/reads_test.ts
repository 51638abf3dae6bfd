import { assert, assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "node:test";
import { DenoReads, type StreamReader } from "../../../runtime/deno/reads.ts";
import { ReadBuffers } from "../../../runtime/deno/read_buffers.ts";

/** Turns that come when they are told to. */
class Turns {
  asked: (() => void)[] = [];

  next(task: () => void): void {
    this.asked.push(task);
  }

  turn(): void {
    const tasks = this.asked;
    this.asked = [];
    for (const task of tasks) task();
  }
}

/** A connection whose every read fills its buffer, so that it would read on for ever. */
class Stream implements StreamReader {
  readonly site: string;
  readonly isLight: boolean;
  readonly isLate = false;
  reads = 1;
  readonly #reads: DenoReads;

  constructor(reads: DenoReads, { site = "crowd", isLight = false } = {}) {
    this.site = site;
    this.isLight = isLight;
    this.#reads = reads;
    this.#filled();
  }

  readOn(): void {
    this.reads++;
    this.#filled();
  }

  #filled(): void {
    if (this.#reads.mayReadOn(this, this.reads)) this.readOn();
  }
}

describe("connections that read a stream", () => {
  it("read on at once, a few times, and then in the next turn", () => {
    const turns = new Turns();
    const stream = new Stream(new DenoReads(turns));
    assertEquals(stream.reads, 4);
    turns.turn();
    assertEquals(stream.reads, 8);
  });

  it("are read on no more than 32 times a turn, however many they are", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    const streams = Array.from({ length: 1_000 }, () => new Stream(reads));
    const total = () => streams.reduce((sum, { reads }) => sum + reads, 0);
    for (let turn = 0; turn < 50; turn++) {
      const before = total();
      assertEquals(turns.asked.length, 1);
      turns.turn();
      assert(total() - before <= 32, `${total() - before} in turn ${turn}`);
    }
  });

  it("take turns", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    const streams = Array.from({ length: 100 }, () => new Stream(reads));
    for (let turn = 0; turn < 100; turn++) turns.turn();
    const counts = streams.map(({ reads }) => reads);
    assert(Math.max(...counts) - Math.min(...counts) <= 8, counts.join(" "));
  });

  it("read on in the next turn where little is expected of them, behind however many", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    const streams = Array.from({ length: 1_000 }, () => new Stream(reads));
    turns.turn();
    const light = new Stream(reads, { isLight: true });
    turns.turn();
    assertGreater(light.reads, 1);
    assertGreater(streams.filter(({ reads }) => reads > 1).length, 32);
  });

  it("take turns by address", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    for (let i = 0; i < 1_000; i++) new Stream(reads, { isLight: true });
    const other = new Stream(reads, { site: "other" });
    turns.turn();
    assertGreater(other.reads, 1);
  });

  it("ask for no turn where none has more to read, and are forgotten where they leave", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    const stream = new Stream(reads);
    reads.leave(stream);
    turns.turn();
    assertEquals([stream.reads, turns.asked.length], [4, 0]);
  });
});

describe("read buffers", () => {
  const sizeOf = ({ length }: Uint8Array) => length;

  it("grow while few have large ones, and shrink again", () => {
    const buffers = new ReadBuffers();
    const small = buffers.small();
    const large = buffers.larger(small);
    assertEquals([small, large, buffers.larger(large)].map(sizeOf), [256, 65_536, 65_536]);
    assertEquals(sizeOf(buffers.smaller(large)), 256);
  });

  it("grow step by step where half of the large ones are held, and never to one of another's", () => {
    const buffers = new ReadBuffers();
    const lent = Array.from({ length: 100 }, () => buffers.larger(buffers.small()));
    assertEquals(lent.map(sizeOf).filter((size) => size > 4_096).length, 32);
    // A peer that sends just enough to be lent one, and no more, keeps it.
    const held = lent.map((buffer) => buffers.larger(buffer));
    assertEquals(held.map(sizeOf).filter((size) => size > 4_096).length, 64);
    const late = buffers.larger(buffers.small());
    assertEquals([sizeOf(late), sizeOf(buffers.larger(late))], [4_096, 4_096]);
    assertEquals(new Set([...held, late].map(({ buffer }) => buffer)).size, 101);
    buffers.giveBack(held[0]!);
    assertEquals(sizeOf(buffers.larger(late)), 65_536);
  });
});

/** A connection whose reads are answered, none of which fills its buffer. */
class Reader implements StreamReader {
  readonly site: string;
  readonly isLight: boolean;
  isLate = false;
  deliveries = 0;
  readonly #reads: DenoReads;

  constructor(reads: DenoReads, { site = "crowd", isLight = false } = {}) {
    this.site = site;
    this.isLight = isLight;
    this.#reads = reads;
  }

  answered(): void {
    if (this.#reads.mayDeliver(this)) this.deliveries++;
    else this.isLate = true;
  }

  readOn(): void {
    this.isLate = false;
    this.deliveries++;
  }
}

describe("answered reads", () => {
  it("are delivered at once on a quiet server, which asks for few turns", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    const reader = new Reader(reads);
    let asked = 0;
    for (let i = 1; i <= 1_000; i++) {
      reader.answered();
      assertEquals([reader.deliveries, reader.isLate], [i, false]);
      asked += turns.asked.length;
      turns.turn();
    }
    assert(asked < 20, `${asked} turns`);
  });

  it("of ten thousand at once are delivered in turns, the light ones' first", () => {
    const turns = new Turns();
    const reads = new DenoReads(turns);
    const crowd = Array.from({ length: 10_000 }, () => new Reader(reads));
    const light = new Reader(reads, { isLight: true });
    const other = new Reader(reads, { site: "other" });
    const delivered = () => crowd.reduce((sum, { deliveries }) => sum + deliveries, 0);
    for (const reader of crowd) reader.answered();
    assert(delivered() < 128, `${delivered()} at once`);
    for (const reader of [light, other]) reader.answered();
    assertEquals(light.deliveries, 1);
    for (let turn = 1; turns.asked.length > 0; turn++) {
      const before = delivered();
      turns.turn();
      assert(delivered() - before <= 128, `${delivered() - before} in turn ${turn}`);
      if (turn === 1) assertEquals(other.deliveries, 1);
    }
    assertEquals(delivered(), crowd.length);
  });
});
