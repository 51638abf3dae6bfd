/**
 * The conformance suite: what `runtime/types.ts` says, as cases for every adapter.
 *
 * @module
 */

import { describe, it } from "node:test";
import type { Runtime } from "../../../runtime/types.ts";
import { type Capabilities, Cases, type Wire } from "./bed.ts";
import { connectingCases } from "./connecting_cases.ts";
import { endingCases } from "./ending_cases.ts";
import { keepAliveCases } from "./keep_alive_cases.ts";
import { listeningCases } from "./listening_cases.ts";
import { loopCases } from "./loop_cases.ts";
import { readingCases } from "./reading_cases.ts";
import { resetCases } from "./reset_cases.ts";
import { tlsCases } from "./tls_cases.ts";
import { writingCases } from "./writing_cases.ts";

/** Declares the suite for the runtime that `make` gives. */
export function conformance(make: () => Promise<Runtime>, capabilities: Capabilities): void {
  const cases = new Cases(make, capabilities);
  const noTls = capabilities.lacks["TLS"];
  const wires: readonly Wire[] = noTls === undefined ? ["tcp", "unix", "tls"] : ["tcp", "unix"];
  for (const wire of wires) {
    describe(`a connection over ${wire}`, () => {
      describe("writes", () => writingCases(cases, wire));
      describe("reads", () => readingCases(cases, wire));
      describe("ends", () => endingCases(cases, wire));
      if (wire !== "unix") describe("reset", () => resetCases(cases, wire));
    });
  }
  if (noTls === undefined) describe("TLS", () => tlsCases(cases));
  else it.skip(`TLS (${noTls})`, () => {});
  describe("a listener", () => listeningCases(cases));
  describe("keep-alive", () => keepAliveCases(cases));
  describe("connect", () => connectingCases(cases));
  describe("the loop", () => loopCases(cases));
}
