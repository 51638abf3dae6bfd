import { peersOf } from "../checks/peers.ts";
import { type Arena, nextVictim, record, signal, type StrikeOnce } from "./arena.ts";

/** Ends a worker at once. */
export const kill: StrikeOnce = (arena) => end(arena, "killed");

/** Asks a worker to end. */
export const ask: StrikeOnce = (arena) => end(arena, "asked");

async function end(arena: Arena, how: "killed" | "asked"): Promise<void> {
  const { watch, kills, port } = arena;
  const pid = await nextVictim(arena);
  // Stopped, it accepts nobody while we look whom it serves.
  if (pid === undefined || !signal(pid, "SIGSTOP")) return;
  watch.expectEnd(pid);
  try {
    const ports = await peersOf(pid, port);
    kills.add(record(how, pid, ports.length), ports);
  } finally {
    if (how === "asked") signal(pid, "SIGTERM");
    signal(pid, how === "killed" ? "SIGKILL" : "SIGCONT");
  }
}
