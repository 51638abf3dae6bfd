import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { AddressTable } from "../../../server/access/address_table.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { type Limits } from "../../../server/limits.ts";
import { MAX_RECENT_ADDRESSES } from "../../../server/limits/clients.ts";
import { completeLimits } from "../../../server/serve.ts";
import { withServer } from "../../support/clients/janus_bed.ts";
import {
  delivered,
  errorOf,
  message,
  publish,
  unstamp,
} from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";

/** Elsewhere only 127.0.0.1 is the machine's own. */
const skip = process.platform === "linux" ? false : "there is one loopback address only";

const OTHER = { from: "127.0.0.2" };

describe("the limits of one address", () => {
  it(
    "leave room for others while one floods, and are free again when it goes",
    { skip },
    async () => {
      await withServer({ maxConnections: 50, maxConnectionsPerIp: 10 }, async (bed) => {
        const flood = Array.from({ length: 100 }, () => bed.begin());
        await until(
          "each has an answer or none",
          () => flood.every((client) => client.frames.length > 0 || client.ended !== null),
        );
        const greeted = flood.filter(({ frames }) => frames[0]?.includes("token"));
        assertEquals(greeted.length, 10);
        for (const { frames } of flood) {
          if (frames.length === 0 || frames[0]!.includes("token")) continue;
          const { code, message } = errorOf(frames[0]);
          assertEquals(code, "too_many_connections");
          assertEquals(message, "All 10 connections of one address are taken");
        }
        assertEquals(bed.server.counters.refusedByAddress, 90);
        assertEquals(bed.server.counters.ended.too_many_connections, 90);
        // One line a second, not one for each.
        assert(bed.ended.length < 45, `${bed.ended.length} are reported`);
        assertEquals(bed.ended[0]?.remoteAddress, "127.0.0.1");

        const reader = await bed.greeted(OTHER);
        await reader.subscribe("t");
        const publisher = await bed.greeted(OTHER);
        publisher.send(publish(message("t")));
        assertEquals(unstamp(await reader.frame()).rest, delivered(message("t")));

        for (const client of flood) client.close();
        await until("the flood has gone", () => bed.server.counters.connections === 2);
        await bed.greeted();
      });
    },
  );

  it("bound how often one connects, and don't make others pay", { skip }, async () => {
    await withServer({ acceptRate: 5 }, async (bed) => {
      const flood = Array.from({ length: 60 }, () => bed.begin());
      await until(
        "each has an answer or none",
        () => flood.every((client) => client.frames.length > 0 || client.ended !== null),
      );
      const greeted = flood.filter(({ frames }) => frames[0]?.includes("token"));
      assert(greeted.length >= 10 && greeted.length < 50, `${greeted.length} are greeted`);
      const refused = flood.find(({ frames }) => frames[0]?.includes("error"));
      assertEquals(
        errorOf(refused?.frames[0]).message,
        "More than 5 connections a second come from one address",
      );
      for (const client of flood) client.close();
      for (let i = 0; i < 10; i++) await bed.greeted(OTHER);
      // Its tokens come back while it keeps away.
      for (let isGreeted = false; !isGreeted;) {
        await quiet(300);
        isGreeted = (await (await bed.open()).frame()).includes("token");
      }
    });
  });

  it("by default let one address all but fill the server, and come back at once", () => {
    const limits = completeLimits({ maxConnections: 19_936 });
    assertEquals(limits.maxConnectionsPerIp, 19_904);
    const table = new AddressTable(limits, new CoarseClock(0));
    for (let i = 0; i < 19_904; i++) assertEquals(table.admit("127.0.0.1"), undefined);
    assert(table.admit("127.0.0.1") !== undefined);
    assertEquals(table.admit("127.0.0.2"), undefined);
    const many = completeLimits({ maxConnections: 1_000_000 });
    assertEquals(many.acceptRate, 500_000);
  });
});

describe("the table of addresses", () => {
  function tableOf(given: Partial<Limits>): { table: AddressTable; clock: CoarseClock } {
    const clock = new CoarseClock(1_000);
    return { table: new AddressTable(completeLimits(given), clock), clock };
  }

  it("counts a /64 of IPv6 as one address", () => {
    const { table } = tableOf({ maxConnectionsPerIp: 2 });
    assertEquals(table.admit("2001:db8::1"), undefined);
    assertEquals(table.admit("2001:db8::2:2"), undefined);
    assert(table.admit("2001:db8::3:3:3") !== undefined);
    assertEquals(table.admit("2001:db8:0:1::1"), undefined);
    table.leave("2001:db8::2:2");
    assertEquals(table.admit("2001:db8::3:3:3"), undefined);
  });

  it("holds nothing against a peer on this machine's own sockets", () => {
    const { table } = tableOf({ maxConnectionsPerIp: 1, acceptRate: 1 });
    for (let i = 0; i < 10; i++) assertEquals(table.admit(""), undefined);
    assertEquals(table.size, 0);
  });

  it("keeps a bounded number of addresses, and forgets them when it may", () => {
    const { table, clock } = tableOf({ acceptRate: 1, maxConnectionsPerIp: 5 });
    assertEquals(table.admit("192.0.2.1"), undefined);
    for (let i = 0; i < 2 * MAX_RECENT_ADDRESSES; i++) {
      const address = `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`;
      assertEquals(table.admit(address), undefined);
      table.leave(address);
    }
    assertEquals(table.size, MAX_RECENT_ADDRESSES + 1);
    table.sweep();
    assertEquals(table.size, MAX_RECENT_ADDRESSES + 1);
    clock.nowMs += 2_000;
    table.sweep();
    assertEquals(table.size, 1);
  });

  it("doesn't forget how often one came because it left", () => {
    const { table, clock } = tableOf({ acceptRate: 1 });
    for (let i = 0; i < 2; i++) {
      assertEquals(table.admit("192.0.2.1"), undefined);
      table.leave("192.0.2.1");
    }
    table.sweep();
    assert(table.admit("192.0.2.1") !== undefined);
    clock.nowMs += 1_000;
    assertEquals(table.admit("192.0.2.1"), undefined);
  });
});
