import { STALL_MS } from "../limits.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { SessionTable } from "../session/session_table.ts";
import type { Session } from "../session/session.ts";

/**
 * Frees memory where it's short: readers that take nothing go first. If that isn't enough, publishers
 * wait (see `Publisher`), and past the limit the least active and largest go, whether what they hold came from them or waits for them. Whoever holds less
 * than half of a fair share is the last to be looked at: it can't be what the memory lacks.
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
      // What else a client has sent is small, or is read in turn: to end it would free next to nothing.
      if (session.holdsLargeFrame && budget.isUnfinishedTight) {
        session.giveUpInput(EXHAUSTED_BY_INPUT);
      }
      continue;
    }
    // Receipts that it's owed come by themselves; and no reader pays for what others have sent.
    if (session.pendingBytes > 0 && budget.isHalfFullOfOutput) {
      session.evict("Memory was exhausted");
    }
  }
}

/** What a client is told whose unfinished frame holds memory that others need. */
export const SLOW_FRAME = "Memory is too short for a frame that takes so long to come";

/** The same where there was no time to see how long it takes. */
const EXHAUSTED_BY_INPUT = "Memory is too short for what came";
