/**
 * The conformance suite: what `runtime/types.ts` says, as cases for every adapter.
 *
 * @module
 */

import { describe } from "node:test";
import type { Runtime } from "../../runtime/types.ts";
import { type Capabilities, Cases } from "./bed.ts";
import { connectingCases } from "./connecting_cases.ts";
import { endingCases } from "./ending_cases.ts";
import { listeningCases } from "./listening_cases.ts";
import { loopCases } from "./loop_cases.ts";
import { readingCases } from "./reading_cases.ts";
import { resetCases } from "./reset_cases.ts";
import { writingCases } from "./writing_cases.ts";

/** Declares the suite for the runtime that `make` gives. */
export function conformance(make: () => Promise<Runtime>, capabilities: Capabilities): void {
  const cases = new Cases(make, capabilities);
  for (const transport of ["tcp", "unix"] as const) {
    describe(`a connection over ${transport}`, () => {
      describe("writes", () => writingCases(cases, transport));
      describe("reads", () => readingCases(cases, transport));
      describe("ends", () => endingCases(cases, transport));
    });
  }
  describe("a connection over tcp, reset", () => resetCases(cases));
  describe("a listener", () => listeningCases(cases));
  describe("connect", () => connectingCases(cases));
  describe("the loop", () => loopCases(cases));
}
