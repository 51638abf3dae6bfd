import { getLogger } from "@logtape/logtape";
import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import {
  type Replaceable,
  RollingUpgrade,
} from "../../../../server/workers/pacing/rolling_upgrade.ts";

/** Workers that are started and ended by the word. */
class Site {
  readonly workers = new Set<Replaceable & { hasEnded: boolean }>();
  readonly did: string[] = [];
  readonly upgrade: RollingUpgrade<Replaceable>;
  /** Which worker's successor doesn't come up. */
  broken: string | undefined;
  /** Called when one ends. */
  onRetired: (name: string) => void = () => {};
  #lastPid = 0;

  constructor(...names: string[]) {
    for (const name of names) this.#start(name);
    this.upgrade = new RollingUpgrade<Replaceable>({
      workers: this.workers,
      succeed: async ({ name, hasEnded }) => {
        await turn();
        if (hasEnded) return undefined;
        this.did.push(`start ${name}`);
        if (name === this.broken) throw new Error("broken");
        return this.#start(name);
      },
      retire: async (worker) => {
        await turn();
        this.did.push(`end ${worker.name}`);
        this.workers.delete(worker as Replaceable & { hasEnded: boolean });
        this.onRetired(worker.name);
      },
    }, getLogger("hotwheels"));
  }

  #start(name: string): Replaceable {
    const worker = { name, pid: ++this.#lastPid, hasEnded: false };
    this.workers.add(worker);
    return worker;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

async function turns(): Promise<void> {
  for (let i = 0; i < 60; i++) await turn();
}

/** Plays a roll over such workers. */
function rollOf(...names: string[]): string[] {
  return names.flatMap((name) => [`start ${name}`, `end ${name}`]);
}

describe("a rolling upgrade", () => {
  it("replaces one after the other, in the order of their numbers", async () => {
    const site = new Site("worker-10", "worker-2", "worker-1");
    site.upgrade.request();
    await turns();
    assertEquals(site.did, rollOf("worker-1", "worker-2", "worker-10"));
    assertEquals([...site.workers].map(({ pid }) => pid), [4, 5, 6]);
  });

  it("comes once more behind one that is under way, however often it's asked for", async () => {
    const site = new Site("a", "b");
    let asked = 0;
    site.onRetired = () => {
      if (asked++ < 2) { for (let i = 0; i < 3; i++) site.upgrade.request(); }
    };
    site.upgrade.request();
    await turns();
    assertEquals(site.did, [...rollOf("a", "b"), ...rollOf("a", "b")]);
    site.upgrade.request();
    await turns();
    assertEquals(site.did.length, 12);
  });

  it("ends with the first that doesn't come up, and may be asked for again", async () => {
    const site = new Site("a", "b", "c");
    site.broken = "b";
    site.upgrade.request();
    await turns();
    assertEquals(site.did.splice(0), [...rollOf("a"), "start b"]);
    site.broken = undefined;
    site.upgrade.request();
    await turns();
    assertEquals(site.did, rollOf("a", "b", "c"));
  });

  it("ends when a successor has died", async () => {
    const site = new Site("a", "b", "c");
    site.onRetired = () => {
      for (const worker of site.workers) if (worker.pid > 3) worker.hasEnded = true;
    };
    site.upgrade.request();
    await turns();
    assertEquals(site.did, rollOf("a"));
  });

  it("goes on where a worker has ended by itself", async () => {
    const site = new Site("a", "b");
    for (const worker of site.workers) worker.hasEnded = worker.name === "a";
    site.upgrade.request();
    await turns();
    assertEquals(site.did, rollOf("b"));
  });

  it("begins with no further worker once the server stops", async () => {
    const site = new Site("a", "b");
    site.onRetired = () => site.upgrade.stop();
    site.upgrade.request();
    await turns();
    assertEquals(site.did, rollOf("a"));
  });
});
