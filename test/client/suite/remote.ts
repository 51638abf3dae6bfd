/**
 * Runs the suite's cases where there is no bed: it is asked for by calls.
 *
 * @module
 */

import type { Bed, Door } from "../../support/client/bed.ts";
import { type Connect, urlOf } from "./case.ts";
import { CASES } from "./cases.ts";

/** Asks the bed, which is in another process. */
export type Call = (method: string, args: readonly unknown[]) => Promise<unknown>;

/** @returns What failed; `undefined` if nothing did. */
export async function runRemotely(
  name: string,
  door: Door,
  connect: Connect,
  call: Call,
): Promise<string | undefined> {
  const bed = new Proxy({}, {
    get: (_, method: string) => (...args: unknown[]) => call(method, args),
  }) as Bed;
  const at = CASES.findIndex((each) => each.name === name);
  try {
    const url = (server: Parameters<typeof urlOf>[1]) => urlOf(door, server);
    await CASES[at]!.run({ bed, door, connect, url, topic: `case ${at} over ${door}` });
    return undefined;
  } catch (error) {
    return (error as Error).stack ?? String(error);
  }
}
