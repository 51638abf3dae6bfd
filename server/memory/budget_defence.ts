import { STALL_MS } from "../limits/clients.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { SessionTable } from "../session/session_table.ts";
import type { Session } from "../session/session.ts";

/**
 * Frees memory when it is short. Readers that take nothing are closed first. If that isn't enough,
 * publishers wait (see `Publisher`). Past the limit the clients that were idle longest and hold most are
 * closed, whether what they hold came from them or waits for them. Clients that hold less than half of a
 * fair share come last: they aren't the cause.
 */
export function defendBudget(sessions: SessionTable<Session>, budget: MemoryBudget): void {
  const muchBytes = budget.maxBytes / sessions.size / 2;
  for (let slot = sessions.size - 1; slot >= 0 && budget.isTight; slot--) {
    const session = sessions.at(slot);
    if (session === undefined || session.heldBytes < muchBytes) continue;
    if (session.isStalledFor(STALL_MS)) session.evict("Took nothing while memory was short");
  }
  if (!budget.isExceeded) return;
  const holders: Session[] = [];
  for (let slot = sessions.size - 1; slot >= 0; slot--) {
    const session = sessions.at(slot);
    if (session !== undefined && session.heldBytes > 0) holders.push(session);
  }
  const rank = (session: Session) => session.heldBytes < muchBytes ? 1 : 0;
  holders.sort((a, b) =>
    rank(a) - rank(b) || a.heldMemorySinceMs - b.heldMemorySinceMs || b.heldBytes - a.heldBytes
  );
  for (const session of holders) {
    if (!budget.isExceeded) return;
    if (session.holdsMostlyInput) {
      // All else that a client has sent is small, or is read in turn: ending it would free next to nothing.
      if (session.holdsLargeFrame && budget.isUnfinishedTight) {
        session.giveUpInput(EXHAUSTED_BY_INPUT);
      }
      continue;
    }
    // Receipts that it is owed come by themselves. And no reader pays for what others have sent.
    if (session.pendingBytes > 0 && budget.isHalfFullOfOutput) {
      session.evict("Memory was exhausted");
    }
  }
}

/** The error message for a client whose partial frame holds memory that others need. */
export const SLOW_FRAME = "Memory is too short for a frame that takes so long to come";

/** The same message if there was no time to see how long the frame takes. */
const EXHAUSTED_BY_INPUT = "Memory is too short for what came";
