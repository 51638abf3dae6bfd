/**
 * What the contract says of TCP keep-alive, as the kernel shows it.
 *
 * @module
 */

import { assert, assertGreater } from "@std/assert";
import { execFileSync } from "node:child_process";
import type { Address } from "../../../runtime/types.ts";
import type { Side } from "../../support/side.ts";
import { until } from "../../support/until.ts";
import { type Cases, trustFor, type Wire } from "./bed.ts";

const ESTABLISHED = "01";
/** In the place where the kernel shows which timer runs. */
const KEEP_ALIVE = "02";
const TICKS_PER_SECOND = 100;

/** Which timer runs for each connection that a port has accepted, and for how many seconds more. */
function timersOf({ port }: Extract<Address, { transport: "tcp" }>): [string, number][] {
  const local = `[0-9A-F]*:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const theirs = `/^ *[0-9]*: ${local} [0-9A-F:]* ${ESTABLISHED} /p`;
  // Deno doesn't let a program read this file itself unless it may do everything.
  const lines = execFileSync("sed", ["-n", theirs, "/proc/net/tcp"], { encoding: "utf8" });
  return lines.trim().split("\n").filter((line) => line !== "").map((line) => {
    const [timer = "", ticks = ""] = (line.trim().split(/\s+/)[5] ?? "").split(":");
    return [timer, parseInt(ticks, 16) / TICKS_PER_SECOND];
  });
}

export function keepAliveCases(cases: Cases): void {
  for (const wire of ["tcp", "tls"] satisfies Wire[]) {
    cases.where("keep-alive", `looks for peers over ${wire} that are gone`, async (bed) => {
      const near: Side[] = [];
      const listener = await bed.listen((side) => near.push(side), bed.anywhere(wire));
      for (let i = 0; i < 3; i++) await bed.connect({ ...listener.address, ...trustFor(wire) });
      await until("they are accepted", () => near.length === 3);
      const { address } = listener;
      assert(address.transport === "tcp");
      // What a handshake or the first bytes have left behind may still run.
      let timers: [string, number][] = [];
      await until("nothing else is under way", () => {
        timers = timersOf(address).filter(([timer]) => timer === KEEP_ALIVE);
        return timers.length === 3;
      });
      for (const [, seconds] of timers) {
        // Deno leaves the time to the kernel, whose settings are the machine's.
        if (bed.runtime.name === "bun") assert(seconds <= 60, `after ${seconds} s`);
        assertGreater(seconds, 0);
      }
    });
  }
}
