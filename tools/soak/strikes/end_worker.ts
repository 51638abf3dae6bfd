import { peersOf } from "../checks/peers.ts";
import {
  nextVictim,
  record,
  signal,
  type StrikeContext,
  type StrikeOnce,
} from "./strike_context.ts";

/** Ends a worker at once. */
export const kill: StrikeOnce = (context) => end(context, "killed");

/** Asks a worker to end. */
export const ask: StrikeOnce = (context) => end(context, "asked");

async function end(context: StrikeContext, how: "killed" | "asked"): Promise<void> {
  const { watch, strikes, port } = context;
  const pid = await nextVictim(context);
  // Stop it first, so that it accepts no client while its connections are listed.
  if (pid === undefined || !signal(pid, "SIGSTOP")) return;
  watch.expectEnd(pid);
  try {
    const ports = await peersOf(pid, port);
    strikes.add(record(how, pid, ports.length), ports);
  } finally {
    if (how === "asked") signal(pid, "SIGTERM");
    signal(pid, how === "killed" ? "SIGKILL" : "SIGCONT");
  }
}
