import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { PromptWork } from "../../../server/timing/prompt_work.ts";

/** An event loop in the hands of a test, and what was done in which of its turns. */
class Loop {
  readonly done: string[] = [];
  #turns = 0;
  #soon: (() => void)[] = [];
  #next: (() => void)[] = [];
  #after: (() => void)[] = [];

  soon(task: () => void): void {
    this.#soon.push(task);
  }

  nextTurn(task: () => void): void {
    this.#next.push(task);
  }

  afterTurn(isBusy: () => boolean, task: () => void): void {
    this.#after.push(() => isBusy() ? this.nextTurn(task) : task());
  }

  note(what: string): void {
    this.done.push(`${this.#turns}: ${what}`);
  }

  /** A turn, with code that may ask for work. */
  turn(...code: (() => void)[]): void {
    this.#turns++;
    for (const task of this.#next.splice(0)) task();
    for (const each of code) {
      each();
      for (const task of this.#soon.splice(0)) task();
    }
    for (const task of this.#after.splice(0)) task();
  }

  get isIdle(): boolean {
    return this.#soon.length + this.#next.length + this.#after.length === 0;
  }
}

/** Work on some items, so many a turn. */
function workOn(loop: Loop, mostAtOnce = Infinity) {
  const items: string[] = [];
  const work = new PromptWork(loop, () => {
    loop.note(items.splice(0, mostAtOnce).join("+"));
    return items.length > 0;
  });
  return (item: string) => () => {
    items.push(item);
    work.request();
  };
}

describe("prompt work", () => {
  it("does a lone piece at once, behind the code that brought it", () => {
    const loop = new Loop();
    const add = workOn(loop);
    loop.turn(add("a"));
    assertEquals([loop.done, loop.isIdle], [["1: a"], true]);
    loop.turn();
    loop.turn(add("b"));
    assertEquals([loop.done, loop.isIdle], [["1: a", "3: b"], true]);
  });

  it("does what comes after it in the same turn together, in the next", () => {
    const loop = new Loop();
    const add = workOn(loop);
    loop.turn(add("a"), add("b"), add("c"));
    loop.turn();
    assertEquals(loop.done, ["1: a", "2: b+c"]);
  });

  it("gathers for as long as each turn brings some, and is prompt again after one that didn't", () => {
    const loop = new Loop();
    const add = workOn(loop);
    loop.turn(add("a"), add("b"));
    loop.turn(add("c"), add("d"));
    loop.turn(add("e"));
    loop.turn();
    loop.turn(add("f"));
    assertEquals(loop.done, ["1: a", "2: b", "3: c+d", "4: e", "5: f"]);
  });

  it("goes on turn by turn while there is more than one bears", () => {
    const loop = new Loop();
    const add = workOn(loop, 2);
    loop.turn(() => ["a", "b", "c", "d", "e"].forEach((item) => add(item)()));
    loop.turn(add("f"));
    loop.turn();
    assertEquals([loop.done, loop.isIdle], [["1: a+b", "2: c+d", "3: e+f"], true]);
  });

  it("asks for no turn for what was wanted and done during the work", () => {
    const loop = new Loop();
    let left = 3;
    const work: PromptWork = new PromptWork(loop, () => {
      for (; left > 0; left--) work.request();
      loop.note("done");
      return false;
    });
    loop.turn(() => work.request());
    assertEquals([loop.done, loop.isIdle], [["1: done"], true]);
  });

  it("goes on in the next turn if the work throws", () => {
    const loop = new Loop();
    let isBroken = true;
    const work = new PromptWork(loop, () => {
      if (isBroken) throw new Error("broken");
      loop.note("done");
      return false;
    });
    assertThrows(() => loop.turn(() => work.request()), Error, "broken");
    isBroken = false;
    loop.turn();
    loop.turn();
    assertEquals([loop.done, loop.isIdle], [["2: done"], true]);
  });
});
