/**
 * What the contract says of `listen`, `accept` and listeners.
 *
 * @module
 */

import { isIP } from "node:net";
import { assert, assertEquals, assertGreater, assertMatch, assertRejects } from "@std/assert";
import { existsSync, writeFileSync } from "node:fs";
import { type Address, type ListenOptions, TransportError } from "../../../runtime/types.ts";
import { pattern } from "../../support/bytes.ts";
import type { Side } from "../../support/side.ts";
import { quiet, until } from "../../support/until.ts";
import type { Bed, Cases } from "./bed.ts";

async function failure(bed: Bed, options: ListenOptions): Promise<TransportError> {
  const error = await assertRejects(() => bed.listen(() => {}, options), TransportError);
  assertEquals(error.message.includes("\n"), false);
  return error;
}

function portOf(address: Address): number {
  return address.transport === "tcp" ? address.port : NaN;
}

export function listeningCases(cases: Cases): void {
  cases.that("gets a port of the system's choice, and says which", async (bed) => {
    const one = await bed.listen();
    const other = await bed.listen();
    assertGreater(portOf(one.address), 0);
    assert(portOf(one.address) !== portOf(other.address));
    assertEquals(one.address, {
      transport: "tcp",
      hostname: "127.0.0.1",
      port: portOf(one.address),
    });
    await bed.connect(one.address);
  });

  cases.that("names the peer's address, without its port", async (bed) => {
    const { near, far } = await bed.pair("tcp");
    assertEquals(near.connection.remoteAddress, "127.0.0.1");
    assertEquals(far.connection.remoteAddress, "127.0.0.1");
    const unix = await bed.pair("unix");
    assertEquals(unix.near.connection.remoteAddress, "");
    assertEquals(unix.far.connection.remoteAddress, "");
  });

  cases.where("IPv6", "listens on IPv6, and shows an IPv4 peer as one", async (bed) => {
    const near: Side[] = [];
    const options = { transport: "tcp", hostname: "::", port: 0 } as const;
    const listener = await bed.listen((side) => near.push(side), options);
    const port = portOf(listener.address);
    const six = await bed.connect({ transport: "tcp", hostname: "::1", port });
    await until("it is accepted", () => near.length === 1);
    await bed.connect({ transport: "tcp", hostname: "127.0.0.1", port });
    await until("it is accepted", () => near.length === 2);
    assertEquals(near.map((side) => side.connection.remoteAddress), ["::1", "127.0.0.1"]);
    assertEquals(six.connection.remoteAddress, "::1");
  });

  cases.that("rejects with address_in_use where another listens", async (bed) => {
    const { address } = await bed.listen();
    const { code, message } = await failure(bed, address);
    assertEquals(code, "address_in_use");
    assertMatch(message, /^cannot listen on 127\.0\.0\.1:\d+: /);
  });

  cases.where("system addresses", "rejects with address_not_available elsewhere", async (bed) => {
    const options = { transport: "tcp", hostname: "203.0.113.1", port: 0 } as const;
    assertEquals((await failure(bed, options)).code, "address_not_available");
  });

  cases.where("names", "rejects with host_not_found for a name that is none", async (bed) => {
    const options = { transport: "tcp", hostname: "nobody.invalid", port: 0 } as const;
    assertEquals((await failure(bed, options)).code, "host_not_found");
  });

  cases.where("names", "tells at which address a name was found", async (bed) => {
    const options = { transport: "tcp", hostname: "localhost", port: 0 } as const;
    const { address } = await bed.listen(() => {}, options);
    assert(address.transport === "tcp" && isIP(address.hostname) !== 0, JSON.stringify(address));
    await bed.connect(address);
  });

  cases.that("throws a RangeError for a port that can't be one", async (bed) => {
    for (const port of [-1, 65_536, 1.5, NaN]) {
      const options = { transport: "tcp", hostname: "127.0.0.1", port } as const;
      await assertRejects(() => bed.listen(() => {}, options), RangeError, "port");
    }
  });

  cases.that("close() stops accepting, and leaves live connections alone", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side));
    const far = await bed.connect(listener.address);
    await until("it is accepted", () => near.length === 1);
    await Promise.all([listener.close(), listener.close()]);
    await listener.close();
    await assertRejects(() => bed.connect(listener.address), TransportError);
    near[0]!.write(pattern(1, 100));
    far.write(pattern(2, 100));
    await until("both have heard", () => near[0]!.byteCount + far.byteCount === 200);
    assertEquals(near.length, 1);
  });

  cases.that("an address can be listened on again as soon as close() is done", async (bed) => {
    for (const transport of ["tcp", "unix"] as const) {
      let listener = await bed.listen(() => {}, bed.anywhere(transport));
      for (let i = 0; i < 10; i++) {
        const far = await bed.connect(listener.address);
        await listener.close();
        const near: Side[] = [];
        listener = await bed.listen((side) => near.push(side), listener.address);
        const next = await bed.connect(listener.address);
        await until("it is accepted", () => near.length >= 1);
        for (const side of [far, next]) side.destroy();
      }
    }
  });

  cases.where("Unix files", "a Unix socket's file is removed on close()", async (bed) => {
    const path = bed.path();
    const listener = await bed.listen(() => {}, { transport: "unix", path });
    assertEquals(listener.address, { transport: "unix", path });
    assert(existsSync(path));
    await listener.close();
    assert(!existsSync(path));
  });

  cases.where("Unix files", "a file that is in the way is left alone", async (bed) => {
    const path = bed.path();
    writeFileSync(path, "precious");
    assertEquals((await failure(bed, { transport: "unix", path })).code, "address_in_use");
    assert(existsSync(path));

    const stale = bed.path();
    const fixture = bed.start("stale_socket.ts", [stale]);
    await fixture.exited;
    assert(existsSync(stale));
    assertEquals((await failure(bed, { transport: "unix", path: stale })).code, "address_in_use");
  });

  cases.where("Unix files", "rejects with not_found where the folder is missing", async (bed) => {
    const options = { transport: "unix", path: `${bed.path()}/missing/x.sock` } as const;
    assertEquals((await failure(bed, options)).code, "not_found");
  });

  cases.where("reusePort", "two listeners share a port that both ask to share", async (bed) => {
    const seen = [0, 0];
    const first = await bed.listen(() => seen[0]!++, {
      transport: "tcp",
      hostname: "127.0.0.1",
      port: 0,
      reusePort: "claim",
    });
    const options = { ...first.address, reusePort: "join" } as ListenOptions;
    const second = await bed.listen(() => seen[1]!++, options);
    for (let i = 0; i < 40; i++) await bed.connect(second.address);
    await until("all are accepted", () => seen[0]! + seen[1]! === 40);
    assertGreater(seen[0]!, 0);
    assertGreater(seen[1]!, 0);
    await first.close();
    await bed.connect(second.address);
    await until("the other goes on", () => seen[0]! + seen[1]! === 41);
  });

  cases.where(
    "reusePort",
    "claims no port on which anybody listens, sharing it or not",
    async (bed) => {
      const anywhere = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;
      for (const reusePort of ["claim", undefined] as const) {
        const there = await bed.listen(() => {}, {
          ...anywhere,
          ...(reusePort === undefined ? {} : { reusePort }),
        });
        const port = portOf(there.address);
        for (const hostname of ["127.0.0.1", "0.0.0.0"]) {
          const claim = { transport: "tcp", hostname, port, reusePort: "claim" } as const;
          assertEquals((await failure(bed, claim)).code, "address_in_use");
        }
        // A connection that lives on holds nobody up.
        const far = await bed.connect(there.address);
        await there.close();
        const next = await bed.listen(() => {}, { ...anywhere, port, reusePort: "claim" });
        await next.close();
        far.destroy();
      }
    },
  );

  cases.where(
    "processes",
    "survives peers that abort before they are accepted",
    async (bed) => {
      const near: Side[] = [];
      const errors: TransportError[] = [];
      const listener = await bed.listen((side) => near.push(side), {
        transport: "tcp",
        hostname: "127.0.0.1",
        port: 0,
        onAcceptError: (error) => errors.push(error),
      });
      // Our loop stands still until they are all gone.
      bed.run("aborting_peers.ts", [String(portOf(listener.address)), "300"]);
      const far = await bed.connect(listener.address);
      await until(
        "those that got in are closed",
        () => near.filter((side) => side.why === null).length === 1,
      );
      far.write(pattern(1, 100));
      await until("it is heard", () => near.some((side) => side.byteCount === 100));
      assertEquals(near.length + errors.length, 301);
      for (const error of errors) {
        assert(error instanceof TransportError);
        assertEquals(error.code, "connection_reset");
      }
    },
  );

  cases.where(
    "deep backlog",
    "keeps two thousand peers waiting while the loop stands still",
    async (bed) => {
      const near: Side[] = [];
      const listener = await bed.listen((side) => near.push(side));
      bed.run("many_peers.ts", [String(portOf(listener.address)), "2000"]);
      await bed.connect(listener.address);
      await until("all are accepted", () => near.length === 2001);
    },
  );

  cases.where("waiting accepts", "accepts nobody until it may", async (bed) => {
    const near: Side[] = [];
    let may = Promise.withResolvers<void>();
    let asked = 0;
    const listener = await bed.listen((side) => near.push(side), {
      ...bed.anywhere("tcp"),
      beforeAccept: () => {
        asked++;
        return near.length === 1 ? may.promise : undefined;
      },
    });
    const first = await bed.connect(listener.address);
    await until("it is accepted", () => near.length === 1);
    const second = await bed.connect(listener.address);
    second.write(pattern(1, 100));
    await until("it was asked", () => asked === 2);
    await quiet();
    assertEquals(near.length, 1);
    first.write(pattern(2, 100));
    await until("the first one is heard", () => near[0]!.byteCount === 100);
    const { resolve } = may;
    may = Promise.withResolvers();
    resolve();
    // It's asked again, and this time there's no end to it but the listener's.
    await until("it was asked again", () => asked === 3);
    await quiet();
    assertEquals(near.length, 1);
    await listener.close();
  });

  cases.where(
    "processes",
    "survives want of descriptors, and accepts again after it",
    async (bed) => {
      const fixture = bed.start("few_descriptors.ts", ["listen"], 64);
      fixture.send("begin");
      const port = Number(await fixture.line());
      const address = { transport: "tcp", hostname: "127.0.0.1", port } as const;
      const far = await Promise.all(Array.from({ length: 100 }, () => bed.connect(address)));
      await until("some are greeted", () => far.filter((side) => side.byteCount > 0).length > 5);
      const report = async () => {
        fixture.send("report");
        return await fixture.line();
      };
      if (bed.has("accept errors")) {
        // On a busy machine it takes long to accept as many as it has descriptors for.
        while (await report() === "no failure reported") await quiet();
      }
      await quiet(300);
      const greeted = far.filter((side) => side.byteCount > 0);
      assert(greeted.length < 64, `${greeted.length} greeted with 64 descriptors`);
      for (const side of greeted) side.destroy();
      await until(
        "others are greeted",
        () => far.some((side) => side.byteCount > 0 && !greeted.includes(side)),
      );
      for (const side of far) side.destroy();
      const later = await bed.connect(address);
      await until("a later one is greeted", () => later.byteCount > 0);
      assertEquals(
        await report(),
        bed.has("accept errors") ? "descriptors_exhausted" : "no failure reported",
      );
    },
  );

  cases.where(
    "processes",
    "a mistake in accept or in a handler surfaces, and harms no other connection",
    async (bed) => {
      for (const place of ["accept", "onData", "onDrain", "onEnd", "onClose"]) {
        const fixture = bed.start("mistake.ts", [place]);
        assertEquals(await fixture.line(), `uncaught: a mistake in ${place}`);
        assertEquals(await fixture.line(), "the other connection is served");
        if (place === "onData") assertEquals(await fixture.line(), "and so is the same");
      }
    },
  );
}
