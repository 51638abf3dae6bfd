/** Looks in a row that find nothing queued, after which the queue counts as empty. */
const IDLE_LOOKS = 2;

/** Milliseconds after which a listener is closed although connections keep coming. */
const PATIENCE_MS = 1_500;

/**
 * Resolves when a listener has accepted what the kernel has queued for it, which is reset when it's closed:
 * right after the loop has looked for connections and found none. What comes between that look and the
 * close can't be had, but where the kernel hands it on (`net.ipv4.tcp_migrate_req`).
 *
 * @param accepted How many connections the listener has accepted so far; `undefined` while it accepts none.
 */
export async function untilQueueIsEmpty(accepted: () => number | undefined): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (let idle = 0; idle < IDLE_LOOKS && performance.now() < deadlineMs;) {
    const before = accepted();
    // Timers come right behind the look for I/O, on both runtimes.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const now = accepted();
    idle = now !== undefined && now === before ? idle + 1 : 0;
  }
}
