import type { ConnectionHandler, Listener, Runtime } from "../../runtime/types.ts";
import { TransportError } from "../../runtime/types.ts";

/** Somewhere that needs no network, and where nobody is expected. */
const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;

/**
 * Whether a process may open so many descriptors more: it's seen by opening them, as sockets, which are
 * closed again. True as well where that can't be seen, as where a sandbox forbids it.
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

/** Whether something couldn't be opened since the process, or the system, has too much open. */
export function isForWantOfDescriptors(error: unknown): boolean {
  return error instanceof TransportError && error.code === "descriptors_exhausted";
}

function turnAway(connection: { destroy(): void }): ConnectionHandler {
  connection.destroy();
  return { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
}
