import { setTimeout as sleep } from "node:timers/promises";
import { cutLink, linksTo } from "./mesh_links.ts";
import {
  ImpossibleStrike,
  isThere,
  nextVictim,
  portsOf,
  record,
  type StrikeContext,
} from "./strike_context.ts";
import type { StrikeOnce } from "./strike_context.ts";

const LOOK_MS = 500;

/** Milliseconds until a worker that has just been started has its links. */
const PATIENCE_MS = 20_000;

/** Cuts the links from all other workers to one worker. */
export const cut: StrikeOnce = async (context) => {
  const victim = await linked(context);
  if (victim === undefined) return;
  const { pid, links } = victim;
  const ports = await portsOf(pid, context);
  const refusals: string[] = [];
  for (const link of links) {
    const refusal = await cutLink(pid, link);
    if (refusal !== undefined) refusals.push(refusal);
  }
  if (refusals.length < links.length) context.strikes.note(record("cut", pid, ports.length));
  else if (isThere(pid)) throw new ImpossibleStrike(refusals[0]);
};

/** A worker with its links. */
async function linked(context: StrikeContext) {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const pid = await nextVictim(context);
    if (pid === undefined) return undefined;
    const links = await linksTo(pid);
    if (links.length > 0) return { pid, links };
    if (performance.now() > endMs) throw new ImpossibleStrike("the system shows no link");
    await sleep(LOOK_MS);
  }
}
