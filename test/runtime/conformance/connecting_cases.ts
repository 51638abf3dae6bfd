/**
 * What the contract says of `connect`.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { ConnectOptions } from "../../../runtime/types.ts";
import { TransportError, type TransportErrorCode } from "../../../runtime/types.ts";
import { assertBytes, pattern } from "../../support/bytes.ts";
import type { Side } from "../../support/side.ts";
import { quiet, until } from "../../support/until.ts";
import type { Bed, Cases } from "./bed.ts";

/** Connects in vain, and gives the reason. */
async function failure(bed: Bed, options: ConnectOptions): Promise<TransportError> {
  let called = false;
  const error = await assertRejects(
    () => bed.connect(options, () => called = true),
    TransportError,
  );
  assertEquals(called, false, "accept was called");
  assertEquals(error.message.includes("\n"), false);
  return error;
}

export function connectingCases(cases: Cases): void {
  cases.that("rejects with connection_refused where nobody listens", async (bed) => {
    const listener = await bed.listen();
    await listener.close();
    const { code, message } = await failure(bed, listener.address);
    assertEquals(code, "connection_refused");
    assertMatch(message, /^cannot connect to 127\.0\.0\.1:\d+: /);
    await quiet();
  });

  cases.where("names", "rejects with host_not_found for a name that is none", async (bed) => {
    const { code, message } = await failure(bed, {
      transport: "tcp",
      hostname: "nobody.invalid",
      port: 80,
    });
    assertEquals(code, "host_not_found" satisfies TransportErrorCode);
    assertMatch(message, /^cannot connect to nobody\.invalid:80: /);
  });

  cases.where("names", "reaches a listener by its name", async (bed) => {
    const listener = await bed.listen();
    const { address } = listener;
    if (address.transport !== "tcp") throw new TypeError("no TCP listener");
    const side = await bed.connect({ ...address, hostname: "localhost" });
    assertEquals(side.connection.remoteAddress, "127.0.0.1");
  });

  cases.that("rejects with not_found for a Unix socket that is none", async (bed) => {
    const { code } = await failure(bed, { transport: "unix", path: bed.path() });
    assertEquals(code, "not_found");
  });

  cases.where("Unix files", "rejects where a Unix socket's listener is gone", async (bed) => {
    const path = bed.path();
    const fixture = bed.start("stale_socket.ts", [path]);
    await fixture.exited;
    const { code } = await failure(bed, { transport: "unix", path });
    assertEquals(code, "connection_refused");
  });

  cases.that("throws a RangeError for a port that can't be one", async (bed) => {
    for (const port of [-1, 65_536, 1.5, NaN]) {
      await assertRejects(
        () => bed.connect({ transport: "tcp", hostname: "127.0.0.1", port }),
        RangeError,
        "port",
      );
    }
  });

  cases.that("in time, a timeout changes nothing", async (bed) => {
    let near: Side | undefined;
    const listener = await bed.listen((side) => near = side);
    const far = await bed.connect({ ...listener.address, timeoutMs: 50 });
    await quiet(100);
    assertEquals([far.why, near?.why], [null, null]);
    far.write(pattern(1, 10));
    await until("it has arrived", () => near!.byteCount === 10);
  });

  cases.where(
    "processes",
    "rejects with timed_out where nobody answers, and leaves nothing open",
    async (bed) => {
      // It accepts nothing until told, so its backlog fills up, and then Linux drops what comes.
      const fixture = bed.start("deaf_listener.ts");
      const port = Number(await fixture.line());
      const codes: string[] = [];
      const connected: Side[] = [];
      // Bun's backlog is 512, whatever it is asked for.
      await Promise.all(Array.from({ length: 700 }, async () => {
        const options = { transport: "tcp", hostname: "127.0.0.1", port, timeoutMs: 800 } as const;
        try {
          connected.push(await bed.connect(options));
        } catch (error) {
          if (!(error instanceof TransportError)) throw error;
          codes.push(error.code);
        }
      }));
      assertEquals([...new Set(codes)], ["timed_out"]);
      assertEquals(connected.length + codes.length, 700);
      fixture.send("accept");
      for (const side of connected) side.close();
      // Late winners of the race are in the listener's count until our side has closed them.
      assertEquals(await fixture.line(), "all have ended");
    },
  );

  cases.that("a thousand connections at once carry each their own", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => {
      near.push(side);
      side.reactions.data = (chunk) => {
        const echo = chunk.slice();
        if (side.unsentBytes === 0) side.write(echo);
      };
    });
    const far = await Promise.all(
      Array.from({ length: 1000 }, () => bed.connect(listener.address)),
    );
    for (const [i, side] of far.entries()) side.write(pattern(i, 64));
    await until("all echoes are there", () => far.every((side) => side.byteCount === 64));
    for (const [i, side] of far.entries()) assertBytes(side.received, pattern(i, 64));
    assertEquals(near.length, 1000);
    for (const side of far) side.close();
    await until("all ends are seen", () => near.every((side) => side.ended));
    for (const side of near) side.close();
    await until("all are closed", () => [...near, ...far].every((side) => side.why === "finished"));
  });

  cases.where(
    "processes",
    "rejects with descriptors_exhausted where there are none, and works again after",
    async (bed) => {
      const fixture = bed.start("few_descriptors.ts", ["connect"], 64);
      assertEquals(await fixture.line(), "descriptors_exhausted");
      assertEquals(await fixture.line(), "connected");
    },
  );

  cases.that("what accept throws is what connect() rejects with", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side));
    const mistake = new TypeError("a mistake in accept");
    const error = await assertRejects(() =>
      bed.runtime.connect(listener.address, () => {
        throw mistake;
      })
    );
    assertEquals(error, mistake);
    await until(
      "the other side sees it",
      () => near.every((side) => side.ended || side.why !== null),
    );
  });
}
