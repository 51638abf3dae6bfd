import { setTimeout as sleep } from "node:timers/promises";
import { cutLink, linksTo } from "./mesh_links.ts";
import { type Arena, Impossible, isThere, nextVictim, portsOf, record } from "./arena.ts";
import type { StrikeOnce } from "./arena.ts";

const LOOK_MS = 500;

/** A worker that has just been started has its links by then. */
const PATIENCE_MS = 20_000;

/** Cuts the links that the other workers have to one. */
export const cut: StrikeOnce = async (arena) => {
  const victim = await linked(arena);
  if (victim === undefined) return;
  const { pid, links } = victim;
  const ports = await portsOf(pid, arena);
  const refusals: string[] = [];
  for (const link of links) {
    const refusal = await cutLink(pid, link);
    if (refusal !== undefined) refusals.push(refusal);
  }
  if (refusals.length < links.length) arena.kills.note(record("cut", pid, ports.length));
  else if (isThere(pid)) throw new Impossible(refusals[0]);
};

/** A worker with its links. */
async function linked(arena: Arena) {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const pid = await nextVictim(arena);
    if (pid === undefined) return undefined;
    const links = await linksTo(pid);
    if (links.length > 0) return { pid, links };
    if (performance.now() > endMs) throw new Impossible("the system shows no link");
    await sleep(LOOK_MS);
  }
}
