import type { ConnectionHandler, Listener, Runtime } from "../../runtime/types.ts";
import { TransportError } from "../../runtime/types.ts";

/** An address that needs no network, and that no client knows. */
const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;

/**
 * Resolves with true if this process can open so many more descriptors. It tries by opening sockets, and
 * closes them again. True as well if it can't try, for example because a sandbox forbids it.
 */
export async function seesDescriptors(runtime: Runtime, count: number): Promise<boolean> {
  const attempts = Array.from({ length: count }, () => runtime.listen(ADDRESS, turnAway));
  const outcomes = await Promise.allSettled(attempts);
  const opened: Listener[] = [];
  let areThere = true;
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") opened.push(outcome.value);
    else if (isForWantOfDescriptors(outcome.reason)) areThere = false;
  }
  await Promise.all(opened.map((listener) => listener.close()));
  return areThere;
}

/** True if a socket couldn't be opened because the process, or the system, has too many open. */
export function isForWantOfDescriptors(error: unknown): boolean {
  return error instanceof TransportError && error.code === "descriptors_exhausted";
}

function turnAway(connection: { destroy(): void }): ConnectionHandler {
  connection.destroy();
  return { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
}
