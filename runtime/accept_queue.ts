/** Looks in a row that find nothing queued, after which the queue counts as empty. */
const IDLE_LOOKS = 2;

/** Milliseconds after which a listener is closed although connections keep coming. */
const PATIENCE_MS = 1_500;

/**
 * Resolves when a listener has accepted the connections that the kernel has queued for it, which are
 * reset when it is closed: right after the loop has looked for connections and found none. Connections
 * that come between that look and the close are lost, unless the kernel hands them on
 * (`net.ipv4.tcp_migrate_req`).
 *
 * @param accepted The number of connections that the listener has accepted so far; `undefined` while it
 * accepts none.
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
