import { after, describe, it } from "node:test";
import { connect } from "../../../client/mod.ts";
import { type Case, urlOf } from "../../client/suite/case.ts";
import { CASES } from "../../client/suite/cases.ts";
import { TESTED_RUNTIMES } from "../processes/tested_runtimes.ts";
import type { Door } from "./bed.ts";
import { MachineBed } from "./machine_bed.ts";

/** The cases that go through a door, and that any process can run. */
export function casesOf(door: Door): readonly Case[] {
  return CASES.filter((each) => (each.door ?? door) === door && !each.needsTrust);
}

/** Runs the suite on the runtime that runs the test. */
export function clientSuite(door: Door): void {
  for (const runtime of TESTED_RUNTIMES) {
    describe(`the client on ${runtime}, over ${door}`, () => {
      const bed = new MachineBed(runtime);
      after(() => bed.dispose());
      for (const [at, { name, run }] of casesOf(door).entries()) {
        it(name, { timeout: 120_000 }, async () => {
          const url = (server: Parameters<typeof urlOf>[1]) => urlOf(door, server);
          await run({ bed, door, connect, url, topic: `case ${at} over ${door}` });
        });
      }
    });
  }
}
