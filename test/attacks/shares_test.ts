import { assert, assertEquals, assertGreater } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AttackBed } from "../support/attacks/attack_bed.ts";
import { underAttack } from "../support/attacks/attack_bed.ts";
import {
  errorOf,
  type JanusClient,
  message,
  publish,
  subscribe,
} from "../support/clients/janus_client.ts";
import { until } from "../support/until.ts";

const timeout = 90_000;

/** Elsewhere only 127.0.0.1 is the machine's own. */
const skip = process.platform === "linux" ? false : "there is one loopback address only";

/** The addresses of innocents, one after the other. */
function innocent(n: number): { readonly from: string } {
  return { from: `127.0.1.${n + 1}` };
}

/** So many clients of an address, each of which was greeted. */
async function crowd(bed: AttackBed, from: string, count: number): Promise<JanusClient[]> {
  const clients = await bed.open(count, { from });
  for (const client of clients) await client.greeting();
  return clients;
}

/** Connections that there may be, of one address too. */
function places(count: number): string[] {
  return ["--max-connections", `${count}`, "--max-connections-per-ip", `${count}`];
}

/** Comes, and waits until it has its answer. */
async function knock(bed: AttackBed, from: string): Promise<JanusClient> {
  const client = bed.begin({ from });
  // Who is refused is told as soon as it's known not to be of 2009.
  client.send("PING\0");
  await until("it has its answer", () => client.frames.length > 0 || client.ended !== null);
  return client;
}

function openOf(clients: readonly JanusClient[]): JanusClient[] {
  return clients.filter(({ ended }) => ended === null);
}

describe("a server that is full", { skip }, () => {
  it("of two addresses' connections has places for all others", { timeout }, async () => {
    await underAttack(places(302), async (bed) => {
      const idle = [
        ...await crowd(bed, "127.0.0.2", 150),
        ...await crowd(bed, "127.0.0.3", 150),
      ];
      for (let n = 0; n < 50; n++) {
        const client = await bed.greeted(innocent(n));
        await client.subscribe(`innocent ${n}`);
        client.send(publish(message(`innocent ${n}`)));
        assert((await client.frame()).includes(`innocent ${n}`));
      }
      await until("as many have gone", () => openOf(idle).length === 250);
      for (const { ended, frames } of idle) {
        if (ended === null) continue;
        const { code, message } = errorOf(frames[0]);
        assertEquals(code, "too_many_connections");
        assertEquals(
          message,
          "All 302 connections are taken, and this address holds most of them",
        );
      }
      const { counters } = await bed.state();
      assertEquals(counters.ended.too_many_connections, 50);
      await bed.untilLogged(
        /closed 127\.0\.0\.[23]:\d+: too_many_connections, .*this address holds most of them/,
      );
    });
  });

  it("has places for others that come all at once", { timeout }, async () => {
    await underAttack(places(302), async (bed) => {
      const idle = [
        ...await crowd(bed, "127.0.0.2", 150),
        ...await crowd(bed, "127.0.0.3", 150),
      ];
      const crowds = Array.from({ length: 100 }, (_, n) => bed.begin(innocent(n)));
      for (const client of crowds) await client.greeting();
      await until("as many have gone", () => openOf(idle).length === 200);
      await bed.untilState("these are all", ({ counters }) => counters.connections === 302);
    });
  });

  it("closes those first that do least, and no active client", { timeout }, async () => {
    await underAttack(places(102), async (bed) => {
      const busy = await crowd(bed, "127.0.0.2", 30);
      for (const client of busy) {
        await client.subscribe("busy");
      }
      busy[0]?.send(publish(message("busy")));
      for (const client of busy) await client.frame();
      const pinging = await crowd(bed, "127.0.0.2", 35);
      for (const client of pinging) client.send("PING\0");
      const silent = await crowd(bed, "127.0.0.2", 35);
      // As old as a client may be that has said nothing yet.
      await sleep(1_500);
      for (let n = 0; n < 30; n++) await bed.greeted(innocent(n));
      await until("so many are closed", () => openOf(silent).length === 5);
      assertEquals([openOf(pinging).length, openOf(busy).length], [35, 30]);
      for (let n = 30; n < 50; n++) await bed.greeted(innocent(n));
      await until("so many more are closed", () => openOf(pinging).length === 20);
      assertEquals([openOf(silent).length, openOf(busy).length], [0, 30]);
    });
  });

  it("closes no client whose address holds no more than a share", { timeout }, async () => {
    await underAttack(places(202), async (bed) => {
      const few: JanusClient[] = [];
      for (let n = 0; n < 20; n++) few.push(...await crowd(bed, innocent(n).from, 3));
      const many = await crowd(bed, "127.0.0.2", 140);
      // As many addresses want more than there is as can be.
      for (let round = 0; round < 6; round++) {
        for (let n = 20; n < 60; n++) {
          await knock(bed, innocent(n).from);
        }
      }
      assertEquals(openOf(few).length, 60);
      assertGreater(openOf(many).length, 1);
      assertGreater(140 - openOf(many).length, 79);
    });
  });

  it(
    "refuses the address that holds most already, and closes no client for it",
    { timeout },
    async () => {
      await underAttack(places(102), async (bed) => {
        const crowds = [...await crowd(bed, "127.0.0.2", 60), ...await crowd(bed, "127.0.0.3", 40)];
        for (let i = 0; i < 200; i++) {
          const { frames } = await knock(bed, i % 2 === 0 ? "127.0.0.2" : "127.0.0.3");
          assertEquals(errorOf(frames[0]).message, "All 102 connections are taken");
        }
        assertEquals(openOf(crowds).length, 100);
      });
    },
  );

  it("closes clients of 2009 without a word", { timeout }, async () => {
    await underAttack(places(52), async (bed) => {
      const old = await crowd(bed, "127.0.0.2", 50);
      for (const client of old) client.send(`<regular-socket/>\0${subscribe("old")}`);
      for (const client of old) assertEquals(await client.frame(), "ACK");
      for (let n = 0; n < 10; n++) await bed.greeted(innocent(n));
      await until("so many are closed", () => openOf(old).length === 40);
      for (const { frames } of old) assertEquals(frames, []);
    });
  });

  it("of one address's topics has room for all others'", { timeout }, async () => {
    await underAttack([], async (bed) => {
      const idle = await crowd(bed, "127.0.0.2", 782);
      for (const [i, client] of idle.entries()) {
        client.send(Array.from({ length: 128 }, (_, n) => subscribe(`${i}-${n}`)).join(""));
      }
      await until("one is beyond all topics", () => openOf(idle).length < 782, 60_000);
      for (let n = 0; n < 20; n++) {
        const client = await bed.greeted(innocent(n));
        for (let i = 0; i < 20; i++) await client.subscribe(`innocent ${n} ${i}`);
        client.send(publish(message(`innocent ${n} 7`)));
        assert((await client.frame()).includes(`innocent ${n} 7`));
      }
      const { counters } = await bed.state();
      assertEquals(counters.ended.too_many_topics, 782 - openOf(idle).length);
      // Each that was closed has left 128 topics.
      assertGreater(openOf(idle).length, 770);
      await bed.untilLogged(
        /closed 127\.0\.0\.2:\d+: too_many_topics, .*this address holds most of them/,
      );
    });
  });

  it("lets topics go that several addresses hold together", { timeout }, async () => {
    await underAttack(["--max-topics-total", "501"], async (bed) => {
      const names = Array.from({ length: 500 }, (_, n) => `held ${n}`);
      for (const from of ["127.0.0.2", "127.0.0.3"]) {
        for (const [i, client] of (await crowd(bed, from, 5)).entries()) {
          client.send(names.slice(i * 100, (i + 1) * 100).map(subscribe).join(""));
        }
        await bed.untilState("they are subscribed", ({ counters }) => {
          return counters.subscriptions === (from === "127.0.0.2" ? 501 : 1_001);
        });
      }
      const client = await bed.greeted(innocent(0));
      for (let i = 0; i < 100; i++) await client.subscribe(`innocent ${i}`);
    });
  });
});
